import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CheckpointsV1 } from '../../../../plugins/sdk/contracts/artifact-store.ts';
import { CheckpointSaver } from '../../../../plugins/steps/train/checkpoint-saver.ts';

/** A store whose saves end when the test says so. */
function slowStore() {
  const saves: { step: number; end: (error?: Error) => void }[] = [];
  const warnings: string[] = [];
  const checkpoints: CheckpointsV1 = {
    folder: '/nowhere',
    earlierSteps: () => Promise.resolve([]),
    restore: () => Promise.resolve(0),
    save: (step) =>
      new Promise((resolve, reject) => {
        saves.push({ step, end: (error) => (error === undefined ? resolve() : reject(error)) });
      }),
  };
  return { saves, warnings, saver: new CheckpointSaver(checkpoints, (one) => void warnings.push(one)) };
}

suite('handing checkpoints to the store', () => {
  test('each once, one at a time, the newest of those that were completed meanwhile', async () => {
    const { saves, saver } = slowStore();
    for (const step of [0, 10, 10, 20, 30]) saver.completed(step);
    assert.deepEqual(
      saves.map(({ step }) => step),
      [10],
    );
    saves[0]?.end();
    await nextTurn();
    assert.deepEqual(
      saves.map(({ step }) => step),
      [10, 30],
    );
    saves[1]?.end();
    await saver.settled();
    saver.completed(30);
    assert.equal(saves.length, 2);
  });

  test('one that cannot be stored is reported, and the next one is tried', async () => {
    const { saves, warnings, saver } = slowStore();
    saver.completed(10);
    saves[0]?.end(new Error('no space'));
    await saver.settled();
    assert.deepEqual(warnings, ['checkpoint 10 was not stored: no space']);
    saver.completed(20);
    assert.equal(saves[1]?.step, 20);
    saves[1].end();
    await saver.settled();
  });

  test('after the end nothing more is stored', async () => {
    const { saves, saver } = slowStore();
    saver.completed(10);
    saver.completed(20);
    saver.stop();
    saves[0]?.end();
    await saver.settled();
    assert.equal(saves.length, 1);
  });
});
