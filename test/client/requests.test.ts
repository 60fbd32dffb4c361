/** Start requests as values: what they hold, and what follows from the spec alone. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { adaptationStart, pipelineStart, trainingStart } from '../../client/requests.ts';
import { scheduleAction, startOptions } from '../../client/start-request.ts';
import { WORKFLOW_NAMES } from '../../schemas/plan/constants.ts';
import { ladderSpec } from '../workflows/support/ladder.ts';

const TRAIN_SPEC = {
  name: 'names',
  task: { instruction: 'Say it.' },
  data: { source: { path: 'rows.csv' }, columns: { input: 'input', output: 'output' } },
};
const READ_OPTIONS = { source: { path: 'rows.csv' }, columns: { input: 'input', output: 'output' } };
const PIPELINE_SPEC = {
  name: 'A pipeline <b>with</b>\nmarkup',
  nodes: [{ id: 'read', form: 'step' as const, uses: 'curate.read@1', with: READ_OPTIONS }],
};

suite('start requests', () => {
  test('an adaptation: type, spec, queue, id, memo, summary and what is checked at the start', async () => {
    const spec = ladderSpec({ name: 'names' });
    const request = await adaptationStart(spec, { taskQueue: 'q' });
    assert.equal(request.type, 'adaptModel');
    assert.deepEqual(request.args, [spec]);
    assert.equal(request.taskQueue, 'q');
    assert.match(request.workflowId, /^adapt-names-[0-9a-f]{8}$/);
    assert.match(JSON.stringify(request.memo), /^{"specDigest":"[0-9a-f]{64}"}$/);
    assert.equal(request.staticSummary, 'Adapt smollm2-135m-instruct to names');
    assert.match(
      request.staticDetails,
      /^- Target: exact-match 0.9\n- Budget: 36000 s\n.*\n- Data: rows.csv$/,
    );
    assert.deepEqual(request.checks, { dataPaths: ['rows.csv'], resources: ['cpu', 'gpu'] });
  });

  test('the three types are those that workers have', async () => {
    const requests = [
      await adaptationStart(ladderSpec()),
      await trainingStart(TRAIN_SPEC),
      await pipelineStart(PIPELINE_SPEC),
    ];
    assert.deepEqual(
      requests.map(({ type }) => type),
      WORKFLOW_NAMES,
    );
  });

  test('a request is JSON: it can be stored and sent as it is', async () => {
    const request = await trainingStart(TRAIN_SPEC, { taskQueue: 'q', workflowId: 'own' });
    assert.deepEqual(JSON.parse(JSON.stringify(request)), request);
    assert.equal(request.workflowId, 'own');
    assert.match(request.staticDetails, /^- Method: LoRA, by nf4-lora\n- Data: rows.csv$/);
  });

  test('without a scope ids differ, with one they follow from scope and spec', async () => {
    const idOf = async (options: { scope?: string }, target = 0.9) =>
      (await adaptationStart(ladderSpec({ target }), options)).workflowId;
    assert.notEqual(await idOf({}), await idOf({}));
    const id = await idOf({ scope: 'a' });
    assert.equal(await idOf({ scope: 'a' }), id);
    assert.notEqual(await idOf({ scope: 'b' }), id);
    assert.notEqual(await idOf({ scope: 'a' }, 0.8), id);
  });

  test('summaries are one line without markup, whatever the spec is called', async () => {
    const { staticSummary } = await pipelineStart(PIPELINE_SPEC);
    assert.equal(staticSummary, 'A pipeline &#60;b>with&#60;/b> markup');
    assert.equal((await pipelineStart(PIPELINE_SPEC, { summary: 'mine' })).staticSummary, 'mine');
  });

  test('a spec that is not valid makes no request', async () => {
    const spec = { ...ladderSpec(), targt: 1 };
    await assert.rejects(adaptationStart(spec), { code: 'INVALID_SPEC', message: /Did you mean "target"/ });
  });

  test('start options and a Schedule action hold the same run, and nothing that Temporal does not know', async () => {
    const request = await adaptationStart(ladderSpec(), { taskQueue: 'q' });
    const { type, checks: _checks, ...temporal } = request;
    assert.deepEqual(startOptions(request), temporal);
    assert.deepEqual(scheduleAction(request), { ...temporal, type: 'startWorkflow', workflowType: type });
  });
});
