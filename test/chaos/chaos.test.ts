/** The quick faults of `npm run chaos`, one trial each, with a fixed seed. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { reasonToSkip } from '../whole/support/needs.ts';
import { TestServer } from '../whole/support/server.ts';
import { QUICK_FAULTS } from './faults.ts';
import { chaos } from './trials.ts';

const skip = await reasonToSkip({ engine: true, procfs: true });

const SEED = 20_261_130;

suite('faults at random moments', { skip }, () => {
  let server: TestServer;
  before(async () => {
    server = await TestServer.start();
  });
  after(async () => await server?.stop());

  for (const { name, absent } of QUICK_FAULTS)
    if (absent !== null) test(name, { skip: absent }, () => undefined);

  test('runs end right, whatever happened', async (t) => {
    const faults = QUICK_FAULTS.filter(({ absent }) => absent === null);
    const { calm, trials } = await chaos(server, { trials: faults.length, seed: SEED, faults });
    assert.ok(calm.artifacts.size > 20, 'the undisturbed run has its steps');
    for (const { fault, hitAtSeconds, problems } of trials) {
      t.diagnostic(`${fault} after ${hitAtSeconds.toFixed(1)} s`);
      assert.deepEqual(problems, [], `${fault} after ${hitAtSeconds} s`);
    }
  });
});
