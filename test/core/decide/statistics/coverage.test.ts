import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bootstrapInterval } from '../../../../core/decide/statistics/bootstrap-interval.ts';
import { philox2x32 } from '../../../../core/decide/statistics/counter-random.ts';
import { pairedBootstrap } from '../../../../core/decide/statistics/paired-bootstrap.ts';

const TRIALS = 300;
const ROWS = 48;
const DATA_SEED = 20_261_121;
const ratio = ([whole = 0, part = 0]: readonly number[]) => part / whole;

const words = new Uint32Array(2);

/** Uniform in [0, 1), draw `draw` of trial `trial`. */
function uniform(trial: number, draw: number): number {
  philox2x32(DATA_SEED, draw, trial, words);
  return (words[0] ?? 0) / 0x100000000;
}

/** Rows of 10 to 40 units, each met with a chance that varies by row around 0.6: a ratio of sums, like chrF. */
function ratioRows(trial: number): number[][] {
  return Array.from({ length: ROWS }, (_, row) => {
    const units = 10 + Math.floor(31 * uniform(trial, 100 * row));
    const chance = 0.35 + 0.5 * uniform(trial, 100 * row + 1);
    let met = 0;
    for (let unit = 0; unit < units; unit++) met += uniform(trial, 100 * row + 2 + unit) < chance ? 1 : 0;
    return [units, met];
  });
}

/** Share of trials in which `holds`. */
async function share(holds: (trial: number) => Promise<boolean>): Promise<number> {
  let count = 0;
  for (let trial = 0; trial < TRIALS; trial++) count += (await holds(trial)) ? 1 : 0;
  return count / TRIALS;
}

test('95 % intervals hold the true score in about 95 % of samples', async (context) => {
  const coverage = await share(async (trial) => {
    const { low, high } = await bootstrapInterval({
      rows: ratioRows(trial),
      aggregate: ratio,
      resamples: 500,
      seed: trial,
    });
    return low <= 0.6 && 0.6 <= high;
  });
  context.diagnostic(`coverage ${coverage.toFixed(3)} of ${TRIALS} samples of ${ROWS} rows`);
  // A percentile interval of 48 rows covers a little under its level (about 0.94); three standard errors are 0.04.
  assert.ok(coverage > 0.9 && coverage < 0.985, `coverage ${coverage}`);
});

test('equal systems are called different in about 5 % of samples', async (context) => {
  const flags = await share(async (trial) => {
    const a = ratioRows(trial);
    const b = a.map(([units = 0, met = 0], row) => {
      const swap = uniform(trial, 90_000 + row);
      return [units, met + (swap < 0.3 ? -1 : swap > 0.7 ? 1 : 0)];
    });
    const { pValue } = await pairedBootstrap({ a, b, aggregate: ratio, resamples: 500, seed: trial });
    return pValue < 0.05;
  });
  context.diagnostic(`false alarms ${flags.toFixed(3)} of ${TRIALS} samples`);
  assert.ok(flags < 0.1, `false alarms ${flags}`);
});

test('2,000 resamples of 48 rows of 20 numbers are quick', async (context) => {
  const rows = Array.from({ length: ROWS }, (_, row) =>
    Array.from({ length: 20 }, (_, at) => 1 + uniform(row, at)),
  );
  const timesMs: number[] = [];
  for (let seed = 0; seed < 5; seed++) {
    const start = performance.now();
    await bootstrapInterval({ rows, aggregate: ([a = 0, b = 0]) => a / (a + b), seed });
    timesMs.push(performance.now() - start);
  }
  context.diagnostic(`fastest of five: ${Math.min(...timesMs).toFixed(1)} ms`);
  // Typical is 20 ms on one quiet core; the bound leaves room for a machine shared with others.
  assert.ok(Math.min(...timesMs) < 250, `${timesMs.join(', ')} ms`);
});
