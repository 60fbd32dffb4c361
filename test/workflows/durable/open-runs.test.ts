/** Cleaning beside runs on a real server: what an open run's history refers to stays, whatever the store itself knows of it. */
import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { cleanHome } from '../../../core/store/clean-home.ts';
import { listOpenRuns } from '../../../client/open-runs.ts';
import { answer, Gate, when } from '../support/behaviours.ts';
import { Stage } from '../support/stage.ts';

const DAY_MS = 86_400_000;

suite('cleaning beside runs', () => {
  let stage: Stage;
  before(async () => (stage = await Stage.open('open-runs')));
  after(() => stage.close());

  test('an open run keeps its artifacts, an ended one does not', async () => {
    const { store, client } = stage;
    const input = await store.putBytes(Buffer.from('input'), 'text/plain');
    const made = await store.putBytes(Buffer.from('made'), 'text/plain');
    const nobodys = await store.putBytes(Buffer.from('nobody refers to it'), 'text/plain');
    const gate = new Gate();
    const nodes = [
      { id: 'a', form: 'step', uses: 'test.readonly@1', with: { rows: input } },
      { id: 'b', form: 'step', uses: 'test.readonly@1', with: { rows: '${nodes.a.output.made}' } },
    ];
    const steps = { 'pipeline/a': answer({ made }), 'pipeline/b': when(gate, answer()) };
    const run = await stage.start('runPipeline', [{ specVersion: 1, name: 'p', nodes }], { steps });
    await run.started('pipeline/b');
    const clean = async () =>
      await cleanHome({
        home: dirname(store.root),
        store,
        keepRuns: 0,
        olderThanMs: 0,
        dryRun: false,
        openRuns: await listOpenRuns(client),
        nowMs: Date.now() + 3650 * DAY_MS,
      });
    const open = await listOpenRuns(client);
    assert.equal(open.length, 1);
    const { runId } = await client.workflow.getHandle(open[0]?.workflowId ?? '').describe();
    assert.deepEqual([open[0]?.namespace, open[0]?.firstRunId], ['default', runId]);
    await clean();
    const there = async () => await Promise.all([input, made, nobodys].map((ref) => store.has(ref)));
    assert.deepEqual(await there(), [true, true, false]);
    gate.open();
    await run.result();
    await clean();
    assert.deepEqual(await there(), [false, false, false]);
  });
});
