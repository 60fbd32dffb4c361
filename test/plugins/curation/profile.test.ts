/** Profiles of splits: against numbers computed by hand, over real files. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { classesOf, lengthsOf } from '../../../plugins/curation/worker/split/profile-table.ts';
import { profileSplits } from '../../../plugins/curation/worker/split/profile.ts';
import { withDatabase, type StepDatabase } from '../../../plugins/curation/worker/step-database.ts';
import { curationOptionsSchema } from '../../../plugins/curation/options.ts';
import { literal } from '../../../plugins/curation/worker/sql.ts';
import type { DataProfile } from '../../../schemas/outcome/data-profile.ts';
import { Harness } from './harness.ts';

test('lengths: mean, extremes and quantiles interpolated between the nearest rows', () => {
  // Sorted 1 2 3 4 10; position of the quantile q is q * 4: p10 at 0.4, p90 at 3.6.
  assert.deepEqual(lengthsOf([10, 1, 3, 2, 4]), { mean: 4, min: 1, p10: 1.4, p50: 3, p90: 7.6, max: 10 });
  assert.deepEqual(lengthsOf([7]), { mean: 7, min: 7, p10: 7, p50: 7, p90: 7, max: 7 });
  assert.deepEqual(lengthsOf([]), { mean: 0, min: 0, p10: 0, p50: 0, p90: 0, max: 0 });
});

test('classes: most frequent first, equal ones by name, absent ones with no rows', () => {
  assert.deepEqual(classesOf(['b', 'a', 'b', 'c'], ['a', 'b', 'c', 'd']), [
    { label: 'b', rows: 2, share: 0.5 },
    { label: 'a', rows: 1, share: 0.25 },
    { label: 'c', rows: 1, share: 0.25 },
    { label: 'd', rows: 0, share: 0 },
  ]);
});

suite('profiles of split files', () => {
  let harness: Harness;
  before(async () => (harness = await Harness.open()));
  after(() => harness.close());

  /** Writes one file for each split and profiles them. */
  async function profile(
    rows: Record<'train' | 'dev' | 'test', string[][]>,
    maxRows?: number,
  ): Promise<DataProfile> {
    const context = await harness.context();
    return await withDatabase(context, curationOptionsSchema.parse({}), async (database: StepDatabase) => {
      const path = (name: string) => join(context.scratchDir, `${name}.parquet`);
      for (const [name, pairs] of Object.entries(rows)) {
        const values = pairs
          .map(([input = '', output = '']) => `(${literal(input)}, ${literal(output)})`)
          .join(', ');
        await database.run(
          `COPY (SELECT * FROM (VALUES ${values}) AS t(input, output)) TO ${literal(path(name))} (FORMAT parquet)`,
        );
      }
      const paths = { train: path('train'), dev: path('dev'), test: path('test') };
      return await profileSplits(database, paths, maxRows);
    });
  }

  test('labels: the same classes in every split', async () => {
    const result = await profile({
      train: [
        ['aa', 'yes'],
        ['bbbb', 'no'],
        ['c', 'yes'],
        ['ddd', 'yes'],
      ],
      dev: [['e', 'no']],
      test: [
        ['f', 'yes'],
        ['g', 'maybe'],
      ],
    });
    assert.deepEqual(result.train, {
      rows: 4,
      sampledRows: 4,
      input: { mean: 2.5, min: 1, p10: 1.3, p50: 2.5, p90: 3.7, max: 4 },
      output: { mean: 2.75, min: 2, p10: 2.3, p50: 3, p90: 3, max: 3 },
      classes: [
        { label: 'yes', rows: 3, share: 0.75 },
        { label: 'no', rows: 1, share: 0.25 },
        { label: 'maybe', rows: 0, share: 0 },
      ],
    });
    assert.deepEqual(
      result.dev.classes?.map(({ label, rows }) => [label, rows]),
      [
        ['no', 1],
        ['maybe', 0],
        ['yes', 0],
      ],
    );
  });

  test('texts have no classes', async () => {
    const texts = (count: number) => Array.from({ length: count }, (_, at) => ['in', `text ${at}`]);
    const result = await profile({ train: texts(30), dev: texts(1), test: texts(1) });
    assert.equal(result.train.classes, null);
    const long = Array.from({ length: 8 }, () => ['in', 'x'.repeat(81)]);
    assert.equal((await profile({ train: long, dev: long, test: long })).train.classes, null);
  });

  test('a large split is sampled: every k-th row, the same each time', async () => {
    const train = Array.from({ length: 10 }, (_, at) => ['i'.repeat(at + 1), at % 4 === 0 ? 'a' : 'b']);
    const few = [
      ['x', 'a'],
      ['y', 'b'],
    ];
    const result = await profile({ train, dev: few, test: few }, 4);
    // A stride of 3: rows 0, 3, 6 and 9 with 1, 4, 7 and 10 characters; only row 0 has the label a.
    assert.deepEqual([result.train.rows, result.train.sampledRows], [10, 4]);
    assert.deepEqual(result.train.input, { mean: 5.5, min: 1, p10: 1.9, p50: 5.5, p90: 9.1, max: 10 });
    assert.deepEqual(result.train.classes, [
      { label: 'b', rows: 3, share: 0.75 },
      { label: 'a', rows: 1, share: 0.25 },
    ]);
    assert.deepEqual(await profile({ train, dev: few, test: few }, 4), result);
  });
});
