import assert from 'node:assert/strict';
import { setImmediate as nextTick } from 'node:timers/promises';
import { suite, test } from 'node:test';
import { percentileInterval } from '../../../../core/decide/statistics/quantile.ts';
import { resampledSums } from '../../../../core/decide/statistics/resampled-sums.ts';
import { rowTable } from '../../../../core/decide/statistics/row-table.ts';
import {
  bootstrapInterval,
  correctedLow,
  pairedBootstrap,
} from '../../../../core/decide/statistics/index.ts';

const ratio = ([whole = 0, part = 0]: readonly number[]) => part / whole;

/** Rows whose sums round, so that another order of adding would show in the last bits. */
const rowsOf = (count: number, salt: number): number[][] =>
  Array.from({ length: count }, (_, row) => [1 + Math.sin(row + salt) / 3, Math.cos(row * salt) / 7 + 0.5]);

/** How often the event loop turns while `work` runs. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let turns = 0;
  let running = true;
  const ended = work.finally(() => (running = false));
  while (running) {
    await nextTick();
    turns += 1;
  }
  await ended;
  return turns;
}

suite('resampling', () => {
  test('a large bootstrap runs beside the event loop and gives the bits of one that does not', async () => {
    const rows = rowsOf(3000, 3);
    const table = rowTable(rows);
    const [sums = new Float64Array()] = resampledSums([table], { seed: 7, first: 0, count: 1500 });
    const values = Float64Array.from({ length: 1500 }, (_, at) =>
      ratio([...sums.subarray(2 * at, 2 * at + 2)]),
    );
    let done = 0;
    const work = bootstrapInterval(
      { rows, aggregate: ratio, resamples: 1500, seed: 7 },
      { onProgress: (now) => (done = now) },
    );
    assert.ok((await turnsDuring(work)) > 10, 'the event loop was blocked');
    const { low, high } = await work;
    assert.deepEqual({ low, high }, percentileInterval(values, 0.95));
    assert.equal(done, 1500);
  });

  test('so does a large paired one, and a bound corrected for many tries', async () => {
    const [a, b] = [rowsOf(2000, 3), rowsOf(2000, 5)];
    const options = { aggregate: ratio, resamples: 1000, seed: 3 };
    const paired = pairedBootstrap({ ...options, a, b });
    assert.ok((await turnsDuring(paired)) > 10);
    const [of, other] = resampledSums([rowTable(a), rowTable(b)], { seed: 3, first: 0, count: 1000 });
    const values = Float64Array.from({ length: 1000 }, (_, at) => {
      const pair = (sums = new Float64Array()) => [...sums.subarray(2 * at, 2 * at + 2)];
      return ratio(pair(other)) - ratio(pair(of));
    });
    const { low, high } = await paired;
    assert.deepEqual({ low, high }, percentileInterval(values, 0.95));
    const corrected = correctedLow({ ...options, rows: a, tried: 40 });
    assert.ok((await turnsDuring(corrected)) > 10);
  });

  test('sums do not depend on the pieces they are made in', () => {
    const tables = [rowTable(rowsOf(101, 3)), rowTable(rowsOf(101, 5))];
    const whole = resampledSums(tables, { seed: 9, first: 0, count: 10 });
    const late = resampledSums(tables, { seed: 9, first: 6, count: 4 });
    assert.deepEqual(
      late,
      whole.map((sums) => sums.slice(12)),
    );
  });

  test('it stops when it is cancelled, with the reason', async () => {
    const cancelled = new AbortController();
    const reason = new Error('the run was cancelled');
    const onProgress = () => cancelled.abort(reason);
    const options = { rows: rowsOf(10_000, 3), aggregate: ratio, resamples: 100_000, seed: 1 };
    await assert.rejects(bootstrapInterval(options, { signal: cancelled.signal, onProgress }), reason);
    await assert.rejects(bootstrapInterval(options, { signal: cancelled.signal }), reason);
  });

  test('more than anybody can wait for is refused with what is possible', async () => {
    const rows = Array.from({ length: 30_000 }, () => [1, 1]);
    await assert.rejects(bootstrapInterval({ rows, aggregate: ratio, resamples: 100_000, seed: 1 }), {
      code: 'INVALID_SPEC',
      message: /100000 resamples of 30000 rows .* at most 66666/,
    });
  });

  test('an aggregate that is not finite ends a large bootstrap, too', async () => {
    const aggregate = () => Number.NaN;
    await assert.rejects(
      bootstrapInterval({ rows: rowsOf(3000, 3), aggregate, resamples: 1500, seed: 7 }),
      RangeError,
    );
  });
});
