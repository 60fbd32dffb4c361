/** A few trials of `npm run chaos` with a fixed seed. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { reasonToSkip } from '../whole/support/needs.ts';
import { TestServer } from '../whole/support/server.ts';
import { chaos } from './trials.ts';

const skip = await reasonToSkip({ engine: true, procfs: true });

const TRIALS = 5;
const SEED = 20_261_121;

suite('kill -9 at random moments', { skip }, () => {
  let server: TestServer;
  before(async () => {
    server = await TestServer.start();
  });
  after(async () => await server?.stop());

  test(`${TRIALS} runs end right, whatever was killed`, async (t) => {
    const { calm, trials } = await chaos(server, { trials: TRIALS, seed: SEED });
    assert.ok(calm.artifacts.size > 20, 'the undisturbed run has its steps');
    for (const { victim, hitAtSeconds, problems } of trials) {
      t.diagnostic(`${victim} killed after ${hitAtSeconds.toFixed(1)} s`);
      assert.deepEqual(problems, [], `${victim} killed after ${hitAtSeconds} s`);
    }
  });
});
