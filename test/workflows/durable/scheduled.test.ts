/** A start request handed to a Schedule of the real server: the run is the one that a direct start makes. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, suite, test } from 'node:test';
import { adaptationStart } from '../../../client/requests.ts';
import { scheduleAction } from '../../../client/start-request.ts';
import type { AdaptationOutcome } from '../../../schemas/outcome/decision.ts';
import { until } from '../../whole/support/processes.ts';
import { ladderSpec, ladderSteps } from '../support/ladder.ts';
import { Stage } from '../support/stage.ts';

suite('scheduled runs', () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.open('scheduled');
    await stage.writeData('rows.csv', 'input,output\n');
  });
  after(() => stage.close());

  /** Creates a Schedule, triggers it once and returns the id of the run that it started. */
  async function trigger(action: ReturnType<typeof scheduleAction>): Promise<string> {
    const scheduleId = `schedule-${randomBytes(4).toString('hex')}`;
    const schedule = await stage.client.schedule.create({ scheduleId, spec: {}, action });
    await schedule.trigger();
    const started = await until('the run of the Schedule', async () => {
      const { info } = await schedule.describe();
      return info.recentActions.map(({ action }) => action.workflow.workflowId)[0];
    });
    await schedule.delete();
    return started;
  }

  test('a Schedule made from a request starts the same run, with memo, summary and details', async () => {
    const request = await adaptationStart(ladderSpec({ name: 'nightly' }), stage.requestOptions);
    stage.expect(request.workflowId, { steps: await ladderSteps(stage) });
    const workflowId = await trigger(scheduleAction(request));
    assert.ok(workflowId.startsWith(request.workflowId), workflowId);
    const handle = stage.client.workflow.getHandle(workflowId);
    const outcome = (await handle.result()) as AdaptationOutcome;
    assert.equal(outcome.workflowId, workflowId);
    assert.deepEqual(
      outcome.rungs.map(({ rung }) => rung),
      ['zero-shot', 'icl', 'peft'],
    );
    const direct = await stage.request(request, { steps: await ladderSteps(stage) });
    await direct.result();
    for (const one of [handle, direct.handle]) {
      const description = await one.describe();
      assert.equal(description.type, request.type);
      assert.equal(description.taskQueue, stage.taskQueue);
      assert.equal(description.memo?.['specDigest'], request.memo['specDigest']);
      assert.equal(await description.staticSummary(), request.staticSummary);
      assert.equal(await description.staticDetails(), request.staticDetails);
    }
  });
});
