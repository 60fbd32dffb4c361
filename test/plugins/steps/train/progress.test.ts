/** What of a training's events reaches heartbeats and results. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { briefly, reportProgress, type ReportedProgress } from '../../../../plugins/steps/train/progress.ts';
import type { TrainingProgress } from '../../../../plugins/sdk/contracts/trainer.ts';
import type { TrainingWarning } from '../../../../schemas/outcome/warning.ts';

const warning = (step: number): TrainingWarning => ({
  kind: 'skipped-step',
  step,
  message: `step ${step}`,
  rows: [],
});

function reported(loggingSteps: number, warned: readonly number[], from = 1): ReportedProgress[] {
  const seen: ReportedProgress[] = [];
  const report = reportProgress(loggingSteps, (progress) => seen.push(progress));
  for (let step = from; step <= 23; step += 1) {
    const progress: TrainingProgress = {
      step,
      totalSteps: 23,
      lossNats: 1,
      learningRate: 0,
      tokensPerSecond: 1,
      etaSeconds: 1,
      checkpointStep: 0,
    };
    report(warned.includes(step) ? { ...progress, warnings: [warning(step)] } : progress);
  }
  return seen;
}

const steps = (all: readonly ReportedProgress[]) => all.map(({ step }) => step);

suite('progress of a training', () => {
  test('loggingSteps thins the reports: first, every so many, last', () => {
    assert.equal(reported(1, []).length, 23);
    assert.deepEqual(steps(reported(10, [])), [1, 10, 20, 23]);
    assert.deepEqual(steps(reported(10, [], 14)), [14, 20, 23], 'after a resume');
    assert.deepEqual(steps(reported(100, [])), [1, 23]);
  });

  test('a warning is reported at once, and stays', () => {
    const seen = reported(10, [3, 4, 5, 12]);
    assert.deepEqual(steps(seen), [1, 3, 4, 5, 10, 12, 20, 23]);
    assert.deepEqual(
      seen.map(({ warningCount, warnings }) => [warningCount, warnings.map(({ step }) => step)]),
      [
        [0, []],
        [1, [3]],
        [2, [3, 4]],
        [3, [3, 4, 5]],
        [3, [3, 4, 5]],
        [4, [4, 5, 12]],
        [4, [4, 5, 12]],
        [4, [4, 5, 12]],
      ],
    );
  });

  test('what travels in a history is short', () => {
    const rows = Array.from({ length: 64 }, (_, at) => `r${at}`);
    const long = { ...warning(1), message: 'x'.repeat(2000), rows };
    const [first, ...rest] = briefly(Array.from({ length: 30 }, () => long));
    assert.deepEqual([first?.message.length, first?.rows.length, rest.length], [501, 8, 19]);
  });
});
