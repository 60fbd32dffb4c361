import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Arm, Output } from '../../../bench/engine/arms.ts';
import { goals, median, summarize, tableRows } from '../../../bench/engine/summary.ts';

/** One run with a steady step time and peak. */
function output(stepSeconds: number, peakMib: number): Output {
  const phase = { seconds: [stepSeconds, stepSeconds, 10 * stepSeconds], peakRssBytes: peakMib * 2 ** 20 };
  const training = { forward: phase, train: phase, lossesNats: [5, 4], gemmGflops: 100 };
  return { load: phase, generate: phase, generateOne: phase, ...training };
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
    assert.equal(tableRows([summary])[3]?.[1], '512 (256-1024)');
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

  test('an arm that only generates has those lines; the prompts are taken off its decoding', () => {
    const phase = {
      seconds: [4, 2, 2],
      promptSeconds: [1, 1, 1],
      ownSeconds: [3, 1, 1],
      peakRssBytes: 2 ** 20,
    };
    const llama = summarize(arm('llama.cpp-q4_0', 'llama.cpp'), [
      { load: phase, generate: phase, generateOne: phase },
    ]);
    // 32 new tokens a row, the first of which the prompt gives.
    assert.equal(llama.newTokensPerSecond.median, (8 * 32) / 2);
    assert.equal(llama.decodeTokensPerSecond?.median, 8 * 31);
    assert.equal(llama.decodeTokensPerSecondOfOne?.median, 31);
    assert.equal(llama.ownTokensPerSecondOfOne?.median, 32);
    assert.equal(llama.trainTokensPerSecond, undefined);
    const ours = summarize(arm('escada-nf4', 'escada'), [output(2, 300)]);
    const rows = tableRows([llama, ours]);
    assert.deepEqual(
      rows.find(([name]) => name?.startsWith('training')),
      ['training, tokens/s', '-', '512 (512-512)'],
    );
    assert.ok(!tableRows([llama]).some(([name]) => name?.startsWith('training')));
    assert.deepEqual(
      goals([ours, llama]).map(({ measured, met }) => [measured, met]),
      [
        [1, true],
        [1, true],
      ],
    );
  });
});
