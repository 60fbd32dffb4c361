import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { targetsOf } from '../../../plugins/curation/worker/balance/targets.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';
import { Harness, csvOf } from './harness.ts';
import { randomOf, shuffled } from './planted.ts';
import { checkValue } from '../../../plugins/sdk/schema-check/check-value.ts';

const KIND = 'curate.balance@1';
const SIZES = { good: 60, bad: 15, mixed: 5 };

function labelledRows(sizes: Record<string, number>): string[][] {
  return Object.entries(sizes).flatMap(([label, size]) =>
    Array.from({ length: size }, (_, index) => [`text ${label} number ${index}`, label, `g${index % 7}`]),
  );
}

suite('curate.balance@1', () => {
  let harness: Harness;
  before(async () => {
    harness = await Harness.open();
  });
  after(() => harness.close());

  async function read(rows: readonly (readonly (string | null)[])[]) {
    const name = await harness.file('rows.csv', csvOf(rows, 'in,out,g'));
    return (await harness.read(name, { input: 'in', output: 'out', group: 'g' }))['dataset'] ?? null;
  }

  async function run(options: JsonObject = {}, rows: string[][] = labelledRows(SIZES)) {
    const output = await harness.run(KIND, { dataset: await read(rows), ...options });
    const left = await harness.rows(output['dataset']);
    const sizes: Record<string, number> = {};
    for (const row of left) sizes[row['output'] as string] = (sizes[row['output'] as string] ?? 0) + 1;
    assert.equal(left.length, output['rows']);
    assert.equal(Number(output['rows']), rows.length + Number(output['made']) - Number(output['dropped']));
    assert.equal(new Set(left.map(({ id }) => id)).size, left.length, 'an id comes twice');
    assert.equal(new Set(left.map(({ row }) => row)).size, left.length, 'a row number comes twice');
    return { output, left, sizes };
  }

  test('under: large classes shrink to the ratio', async () => {
    const { output, sizes } = await run();
    assert.deepEqual(sizes, { good: 5, bad: 5, mixed: 5 });
    assert.deepEqual([output['ratioBefore'], output['ratioAfter'], output['made']], [12, 1, 0]);
    assert.deepEqual((await run({ maxRatio: 3 })).sizes, { good: 15, bad: 15, mixed: 5 });
    const samples = await harness.json<{ reason: string }[]>(output['droppedSamples']);
    assert.equal(samples[0]?.reason, 'class "good" has 60 rows, 5 are kept');
  });

  test('over: small classes are oversampled, no row more often than allowed', async () => {
    const { output, left, sizes } = await run({ method: 'over' });
    assert.deepEqual(sizes, { good: 60, bad: 60, mixed: 20 });
    assert.deepEqual([output['made'], output['dropped'], output['ratioAfter']], [60, 0, 3]);
    assert.deepEqual(output['largest'], [
      { label: 'good', before: 60, after: 60, made: 0 },
      { label: 'bad', before: 15, after: 60, made: 45 },
      { label: 'mixed', before: 5, after: 20, made: 15 },
    ]);
    const originals = new Map(left.filter((row) => row['parent'] === null).map((row) => [row['id'], row]));
    for (const { id, parent, input, output: label, grp } of left.filter((row) => row['parent'] !== null)) {
      const original = originals.get(parent ?? null);
      assert.deepEqual([original?.['input'], original?.['output'], original?.['grp']], [input, label, grp]);
      assert.match(id as string, new RegExp(`^${parent as string}\\.c[1-3]$`));
    }
    assert.deepEqual((await run({ method: 'over', maxRepeats: 100, maxRatio: 2 })).sizes, {
      good: 60,
      bad: 30,
      mixed: 30,
    });
  });

  test('both ways, caps, small classes and other columns', async () => {
    assert.deepEqual((await run({ method: 'both', maxRepeats: 10 })).sizes, { good: 15, bad: 15, mixed: 15 });
    assert.deepEqual((await run({ method: 'over', maxRowsPerClass: 12 })).sizes, {
      good: 12,
      bad: 12,
      mixed: 12,
    });
    const rare = await run({ minRowsPerClass: 10 });
    assert.deepEqual(rare.sizes, { good: 15, bad: 15 });
    const { output } = await run({ label: 'group', maxRatio: 1 });
    assert.equal(output['classes'], 7);
  });

  test('copies of copies still name the original, and ids stay different', async () => {
    const once = await run({ method: 'over' });
    const dataset = once.output['dataset'] ?? null;
    const twice = await harness.run(KIND, { dataset, method: 'over', maxRatio: 1, maxRepeats: 9 });
    const rows = await harness.rows(twice['dataset']);
    assert.equal(new Set(rows.map(({ id }) => id)).size, rows.length);
    const ids = new Set(rows.filter((row) => row['parent'] === null).map(({ id }) => id));
    assert.ok(rows.every(({ parent }) => parent === null || ids.has(parent ?? null)));
  });

  test('a family of copies stays in one split, and a split can be balanced', async () => {
    const { output } = await run({ method: 'over' });
    const sizes = { train: 60, dev: 15, test: 15 };
    const split = await harness.run('curate.split@1', { dataset: output['dataset'] ?? null, sizes, seed: 4 });
    const places = new Map<unknown, string>();
    for (const name of ['train', 'dev', 'test']) {
      for (const { id, parent } of await harness.rows(split[name])) {
        const family = parent ?? id;
        assert.equal(places.get(family) ?? name, name);
        places.set(family, name);
      }
    }
    const train = await harness.run(KIND, { dataset: split['train'] ?? null, maxRatio: 2 });
    assert.ok(Number(train['rows']) > 0 && Number(train['ratioAfter']) <= 2);
  });

  test('the same seed and content choose the same texts in any order of rows', async () => {
    const rows = labelledRows(SIZES);
    const texts = async (given: string[][], seed: number) =>
      (await run({ method: 'both', seed }, given)).left.map(({ input }) => input).sort();
    const first = await texts(rows, 5);
    assert.deepEqual(await texts(shuffled(rows, 2), 5), first);
    assert.notDeepEqual(await texts(rows, 6), first);
  });

  test('targets keep every promise for random sizes', () => {
    const random = randomOf(8);
    for (let round = 0; round < 300; round += 1) {
      const sizes = Array.from(
        { length: 1 + Math.floor(random() * 8) },
        () => 1 + Math.floor(random() ** 3 * 900),
      );
      const rule = {
        method: (['under', 'over', 'both'] as const)[round % 3] ?? 'under',
        maxRatio: 1 + Math.floor(random() * 4),
        maxRepeats: 1 + Math.floor(random() * 6),
        ...(random() < 0.3 ? { maxRowsPerClass: 1 + Math.floor(random() * 300) } : {}),
      };
      const targets = targetsOf(sizes, rule);
      const limited = targets.map(({ after }, index) => after === (sizes[index] ?? 0) * rule.maxRepeats);
      for (const [index, { keep, after }] of targets.entries()) {
        const size = sizes[index] ?? 0;
        assert.ok(
          keep >= 1 && keep <= size && after >= keep && after <= Math.max(size, size * rule.maxRepeats),
        );
        assert.ok(after <= (rule.maxRowsPerClass ?? Infinity));
        assert.ok(after === keep || keep === size, 'a class may not lose rows and have copies');
        if (rule.method === 'under') assert.equal(after, keep);
      }
      const free = targets.filter((_, index) => !limited[index]).map(({ after }) => after);
      if (free.length > 1) {
        assert.ok(
          Math.max(...free) <= rule.maxRatio * Math.min(...free) + rule.maxRatio,
          JSON.stringify({ sizes, rule, targets }),
        );
      }
    }
  });

  test('refuses texts that are no labels, columns that are not there, options out of range', async () => {
    const many = Array.from({ length: 1200 }, (_, index) => [`in ${index}`, `answer ${index}`, 'g']);
    await assert.rejects(run({}, many), { code: 'DATA_NOT_LABELS', message: /1200 different texts/ });
    await assert.rejects(run({ label: 'category' }), {
      code: 'DATA_COLUMN_MISSING',
      message: /Map one with columns\.category/,
    });
    const { withSchema } = harness.kind(KIND);
    const dataset = await read([['a', 'b', 'c']]);
    for (const options of [{ maxRatio: 0.5 }, { method: 'some' }, { maxRepeats: 0 }, { labels: 'output' }]) {
      assert.equal(checkValue(withSchema, { dataset, ...options }).success, false, JSON.stringify(options));
    }
  });

  test('rows without a label go; empty datasets pass', async () => {
    const dataset = await read([
      ['a', 'x', ''],
      ['b', null, ''],
      ['c', ' ', ''],
      ['d', 'X ', ''],
    ]);
    const output = await harness.run(KIND, { dataset });
    assert.deepEqual([output['rows'], output['dropped'], output['classes']], [2, 2, 1]);
    const none = await harness.run(KIND, { dataset: await read([]) });
    assert.deepEqual([none['rows'], none['ratioAfter']], [0, 1]);
  });
});
