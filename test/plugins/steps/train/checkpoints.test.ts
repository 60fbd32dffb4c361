import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import {
  attemptsWithoutProgress,
  MAX_ATTEMPTS_WITHOUT_PROGRESS,
  requireProgress,
} from '../../../../plugins/steps/train/checkpoints.ts';

/** Newest checkpoints of attempts, oldest attempt first. */
const withoutProgress = (...steps: number[]): number => attemptsWithoutProgress(steps.reverse());

suite('attempts without progress', () => {
  test('counts the newest attempts that got no further than the one before', () => {
    assert.equal(withoutProgress(), 0);
    assert.equal(withoutProgress(0, 0), 2);
    assert.equal(withoutProgress(10), 0);
    assert.equal(withoutProgress(10, 10, 20), 0);
    assert.equal(withoutProgress(10, 20, 20, 20), 2);
    assert.equal(withoutProgress(9, 100, 100), 1, 'steps are numbers');
  });

  test('a checkpoint that was only taken over again is no progress', () => {
    assert.equal(withoutProgress(100, 0, 100, 0, 100), 4);
    assert.equal(withoutProgress(100, 0, 110, 0, 110), 2);
  });

  test('a training that continues, however slowly, is never given up; one that does not, is', () => {
    requireProgress(Array.from({ length: 40 }, (_, at) => at + 1).reverse());
    const stuck = Array.from({ length: MAX_ATTEMPTS_WITHOUT_PROGRESS }, () => 5);
    requireProgress(stuck);
    assert.throws(() => requireProgress([...stuck, 5]), {
      code: 'TRAINING_NO_PROGRESS',
      message: /^8 attempts in a row .*; 9 attempts in all/,
    });
  });
});
