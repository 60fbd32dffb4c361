import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Arm, Output } from '../../../bench/engine/arms.ts';
import { goals, median, summarize, tableRows } from '../../../bench/engine/summary.ts';

/** One run with a steady step time and peak. */
function output(stepSeconds: number, peakMib: number): Output {
  const phase = { seconds: [stepSeconds, stepSeconds, 10 * stepSeconds], peakRssBytes: peakMib * 2 ** 20 };
  return { load: phase, forward: phase, generate: phase, train: phase, lossesNats: [5, 4], gemmGflops: 100 };
}

function arm(id: string, side: Arm['side']): Arm {
  return { id, side, precision: 'fp32', run: () => Promise.reject(new Error('not measured here')) };
}

suite('summary of the engine benchmark', () => {
  test('median of odd and even counts', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 3, 2]), 2.5);
  });

  test('a pair counts with its median call; the table has median and extremes over pairs', () => {
    const summary = summarize(arm('escada-f32', 'escada'), [output(1, 100), output(2, 300), output(4, 200)]);
    assert.deepEqual(summary.trainTokensPerSecond, { median: 512, lowest: 256, highest: 1024 });
    assert.deepEqual(summary.trainPeakRssMib, { median: 200, lowest: 100, highest: 300 });
    assert.deepEqual([summary.firstLossNats, summary.lastLossNats], [5, 4]);
    assert.equal(tableRows([summary])[2]?.[1], '512 (256-1024)');
  });

  test('goals compare the fp32 arms and can be missed', () => {
    const ours = summarize(arm('escada-f32', 'escada'), [output(2, 300)]);
    const theirs = summarize(arm('pytorch-fp32', 'pytorch'), [output(1, 500)]);
    assert.deepEqual(
      goals([ours, theirs]).map(({ measured, met }) => [measured, met]),
      [
        [0.5, false],
        [0.6, false],
      ],
    );
    assert.deepEqual(goals([ours]), []);
  });
});
