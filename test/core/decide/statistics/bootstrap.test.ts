import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { bootstrapInterval } from '../../../../core/decide/statistics/bootstrap-interval.ts';
import { philox2x32 } from '../../../../core/decide/statistics/counter-random.ts';
import { correctedLevel, correctedLow } from '../../../../core/decide/statistics/multiple-tries.ts';
import { pairedBootstrap } from '../../../../core/decide/statistics/paired-bootstrap.ts';

interface Single {
  readonly name: string;
  readonly rows: number[][];
  readonly resamples: number;
  readonly level: number;
  readonly seed: number;
  readonly value: number;
  readonly low: number;
  readonly high: number;
}
interface Golden {
  readonly philox: readonly (readonly number[])[];
  readonly singles: readonly Single[];
  readonly paired: {
    readonly a: number[][];
    readonly b: number[][];
    readonly resamples: number;
    readonly level: number;
    readonly seed: number;
    readonly delta: number;
    readonly low: number;
    readonly high: number;
    readonly pValue: number;
  };
  readonly unseeded: { readonly low: number; readonly high: number };
}

const path = new URL('../../../fixtures/statistics/golden.json', import.meta.url);
const golden = JSON.parse(readFileSync(path, 'utf8')) as Golden;
const ratio = ([whole = 0, part = 0]: readonly number[]) => part / whole;

// Sums are integers, so only the division and the interpolation round.
const TOLERANCE = 1e-12;
// Monte Carlo error of a tail quantile from 20,000 resamples: about 0.0004 here; four times that.
const RESAMPLING_TOLERANCE = 0.0016;

function close(actual: number, expected: number, tolerance: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what}: ${actual}, expected ${expected}`);
}

test('the counter generator gives the published words of Philox 2x32-10', () => {
  const counters = [
    [0, 0, 0],
    [0xffffffff, 0xffffffff, 0xffffffff],
    [0x13198a2e, 0x243f6a88, 0x85a308d3],
  ] as const;
  const out = new Uint32Array(2);
  counters.forEach(([key, counter0, counter1], at) => {
    philox2x32(key, counter0, counter1, out);
    assert.deepEqual([...out], golden.philox[at]);
  });
});

test('intervals equal those of numpy', async () => {
  for (const { rows, resamples, level, seed, ...expected } of golden.singles) {
    const actual = await bootstrapInterval({ rows, aggregate: ratio, resamples, level, seed });
    for (const key of ['value', 'low', 'high'] as const) {
      close(actual[key], expected[key], TOLERANCE, `${expected.name}.${key}`);
    }
    assert.equal(actual.n, rows.length);
  }
});

test('paired differences equal those of numpy', async () => {
  const { a, b, resamples, level, seed, ...expected } = golden.paired;
  const actual = await pairedBootstrap({ a, b, aggregate: ratio, resamples, level, seed });
  for (const key of ['delta', 'low', 'high', 'pValue'] as const)
    close(actual[key], expected[key], TOLERANCE, key);
});

test('other seeds converge on the interval of another generator', async () => {
  const rows = golden.paired.a;
  for (const seed of [5, 6]) {
    const { low, high } = await bootstrapInterval({
      rows,
      aggregate: ratio,
      resamples: 20_000,
      level: 0.9,
      seed,
    });
    close(low, golden.unseeded.low, RESAMPLING_TOLERANCE, 'low');
    close(high, golden.unseeded.high, RESAMPLING_TOLERANCE, 'high');
  }
});

test('no rows are refused, malformed input is a RangeError', async () => {
  const options = { aggregate: ratio, seed: 1 };
  await assert.rejects(bootstrapInterval({ ...options, rows: [] }), { code: 'DATA_TOO_FEW_ROWS' });
  await assert.rejects(pairedBootstrap({ ...options, a: [], b: [] }), { code: 'DATA_TOO_FEW_ROWS' });
  await assert.rejects(
    pairedBootstrap({
      ...options,
      a: [
        [1, 0],
        [1, 1],
      ],
      b: [[1, 0]],
    }),
    RangeError,
  );
  await assert.rejects(bootstrapInterval({ ...options, rows: [[1, 0], [1]] }), RangeError);
  await assert.rejects(bootstrapInterval({ ...options, rows: [[1, NaN]] }), RangeError);
  await assert.rejects(bootstrapInterval({ ...options, rows: [[0, 0]] }), RangeError);
  await assert.rejects(bootstrapInterval({ ...options, rows: [[1, 0]], level: 1 }), RangeError);
  await assert.rejects(bootstrapInterval({ ...options, rows: [[1, 0]], resamples: 0 }), RangeError);
});

test('one row knows nothing of spread; equal rows have none', async () => {
  const options = { aggregate: ratio, seed: 1 };
  assert.deepEqual(await bootstrapInterval({ ...options, rows: [[1, 1]] }), {
    value: 1,
    low: 0,
    high: 1,
    n: 1,
  });
  const pair = await pairedBootstrap({ ...options, a: [[1, 0]], b: [[1, 1]] });
  assert.deepEqual(pair, { delta: 1, low: -1, high: 1, pValue: 1, n: 1 });
  const rows = Array.from({ length: 9 }, () => [2, 1]);
  assert.deepEqual(await bootstrapInterval({ ...options, rows }), { value: 0.5, low: 0.5, high: 0.5, n: 9 });
  const same = await pairedBootstrap({ ...options, a: rows, b: rows });
  assert.deepEqual(same, { delta: 0, low: 0, high: 0, pValue: 1, n: 9 });
});

test('the correction for several tries is Bonferroni and lowers the bound', async () => {
  assert.equal(correctedLevel(0.95, 1), 0.95);
  close(correctedLevel(0.95, 5), 0.99, TOLERANCE, 'five tries');
  assert.throws(() => correctedLevel(0.95, 0), RangeError);
  const [first] = golden.singles;
  assert.ok(first !== undefined);
  const options = { rows: first.rows, aggregate: ratio, seed: 1 };
  const plain = (await bootstrapInterval(options)).low;
  assert.equal(await correctedLow({ ...options, tried: 1 }), plain);
  const lows = await Promise.all([1, 4, 16, 64].map((tried) => correctedLow({ ...options, tried })));
  lows
    .slice(1)
    .forEach((low, at) => assert.ok(low < (lows[at] ?? 0), `after ${4 ** (at + 1)} tries: ${low}`));
});
