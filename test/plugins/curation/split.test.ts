import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { readRows } from '../../../plugins/sdk/dataset/read-rows.ts';
import type { ArtifactRef } from '../../../schemas/common/artifact-ref.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';
import { Harness, csvOf } from './harness.ts';
import type { DataProfile } from '../../../schemas/outcome/data-profile.ts';

const SPLITS = ['train', 'dev', 'test'] as const;
type Rows = Record<(typeof SPLITS)[number], { id: string; input: string; output: string }[]>;

suite('curate.split@1', () => {
  let harness: Harness;
  let files = 0;
  before(async () => {
    harness = await Harness.open();
  });
  after(() => harness.close());

  async function dataset(rows: readonly (readonly string[])[], group = false): Promise<unknown> {
    files += 1;
    const name = await harness.file(`${files}.csv`, csvOf(rows, group ? 'in,out,g' : 'in,out'));
    const columns = { input: 'in', output: 'out', ...(group ? { group: 'g' } : {}) };
    return (await harness.read(name, columns))['dataset'];
  }

  async function split(ref: unknown, sizes: number[], seed = 1, more: JsonObject = {}) {
    const [train = 0, dev = 0, count = 0] = sizes;
    const options = { dataset: ref, sizes: { train, dev, test: count }, seed, ...more };
    const output = await harness.run('curate.split@1', options);
    const rows = {} as Rows;
    for (const name of SPLITS) {
      rows[name] = await readRows(await harness.store.localPath(output[name] as ArtifactRef));
    }
    return { output, rows };
  }

  /** Which split each row went to. */
  function places(rows: Rows): Map<string, string> {
    return new Map(SPLITS.flatMap((name) => rows[name].map((row): [string, string] => [row.id, name])));
  }

  const plain = (count: number): string[][] =>
    Array.from({ length: count }, (_, index) => [`thing number ${index}`, `answer ${index}`]);

  test('takes exactly the sizes asked for, each row once', async () => {
    const { output, rows } = await split(await dataset(plain(100)), [60, 15, 20]);
    assert.deepEqual(output['rows'], { train: 60, dev: 15, test: 20 });
    assert.deepEqual([rows.train.length, rows.dev.length, rows.test.length], [60, 15, 20]);
    assert.equal(places(rows).size, 95);
    assert.equal(output['unused'], 5);
    assert.equal(output['groups'], 100);
    assert.ok(rows.train.every(({ id, input }) => input === `thing number ${Number(id.slice(1)) - 1}`));
  });

  test('the seed decides, the order of the rows does not', async () => {
    const first = await split(await dataset(plain(200)), [100, 30, 30]);
    const same = await split(await dataset(plain(200)), [100, 30, 30]);
    assert.deepEqual(same.output, first.output);
    const other = await split(await dataset(plain(200)), [100, 30, 30], 2);
    assert.notDeepEqual(places(other.rows), places(first.rows));
    const turned = await split(await dataset(plain(200).reverse()), [100, 30, 30]);
    const inputs = (rows: Rows) => SPLITS.map((name) => rows[name].map((row) => row.input));
    assert.deepEqual(inputs(turned.rows), inputs(first.rows));
    assert.notDeepEqual(
      first.rows.train.map((row) => row.id),
      [...first.rows.train.map((row) => row.id)].sort(),
    );
  });

  test('groups never straddle, also when they are joined over several rows', async () => {
    // Groups of one to six rows; every third group is tied to the next by a row with the same words.
    const rows: string[][] = [];
    for (let group = 0; group < 120; group += 1) {
      for (let row = 0; row <= group % 6; row += 1)
        rows.push([`item ${group} piece ${row}`, 'good', `g${group}`]);
      if (group % 3 === 0) rows.push([`Piece  0 ITEM ${group + 1}`, 'bad', `g${group}`]);
    }
    for (const seed of [1, 2, 3, 4, 5]) {
      const { rows: parts, output } = await split(await dataset(rows, true), [240, 60, 80], seed);
      const groupOf = new Map<number, string>();
      for (const [id, place] of places(parts)) {
        const number = Number(rows[Number(id.slice(1)) - 1]?.[2]?.slice(1));
        const tied = number % 3 === 1 ? number - 1 : number;
        assert.equal(groupOf.get(tied) ?? place, place, `group ${tied} straddles`);
        groupOf.set(tied, place);
      }
      assert.equal(output['groups'], 80);
    }
  });

  test('equal inputs, reordered words and equal long answers stay together', async () => {
    const long = 'a long answer that was copied';
    const pairs = Array.from({ length: 40 }, (_, index) => [
      [`alpha beta ${index}`, `one ${index}`],
      [`${index} BETA, alpha!`, `two ${index}`],
      [`first ${index} of answer`, `${long} ${index}`],
      [`second thing ${index}`, `${long.toUpperCase()}  ${index}`],
    ]).flat();
    const { output, rows } = await split(await dataset(pairs), [80, 30, 30]);
    assert.equal(output['groups'], 80);
    assert.equal(output['largestGroup'], 2);
    const place = places(rows);
    for (let index = 0; index < 80; index += 1) {
      const both = [place.get(`r${2 * index + 1}`), place.get(`r${2 * index + 2}`)];
      const used = both.filter((name) => name !== undefined);
      assert.ok(new Set(used).size <= 1, `pair ${index}: ${both.join()}`);
    }
  });

  test('labels and stock phrases may be shared', async () => {
    const stock = 'I am sorry, I cannot help you with that.';
    const rows = plain(300).map(([input = ''], index) => [
      input,
      index % 3 === 0 ? stock : index % 3 === 1 ? 'yes' : 'no',
    ]);
    const { output } = await split(await dataset(rows), [200, 50, 50]);
    assert.equal(output['groups'], 300);
    assert.deepEqual(output['contamination'], { checked: 100, shared: 0 });
  });

  test('says what is missing when too few rows are left', async () => {
    const ref = await dataset(plain(20));
    const entry = { rows: 20, dataset: ref };
    const lineage = {
      steps: [
        { ...entry, step: 'null-filter', dropped: 3 },
        { ...entry, step: 'token-filter', dropped: 70 },
      ],
    } as unknown as JsonObject;
    await assert.rejects(split(ref, [20, 8, 8], 1, { lineage }), {
      code: 'DATA_TOO_FEW_ROWS',
      message:
        '20 rows are usable, but 36 are needed (train 20, dev 8, test 8). Step token-filter dropped most: 70 of 90 rows.',
      fields: { usable: 20, needed: 36, missing: 16, step: 'token-filter', dropped: 70 },
    });
    const one = await dataset(
      plain(20).map((row) => [...row, 'g']),
      true,
    );
    await assert.rejects(split(one, [10, 4, 4]), {
      code: 'DATA_TOO_FEW_ROWS',
      message: /in 1 groups, the largest of 20 rows/,
    });
    const empty = (await harness.read(await harness.file('none.csv', 'in,out\n')))['dataset'];
    await assert.rejects(split(empty, [8, 8, 8]), { code: 'DATA_TOO_FEW_ROWS' });
  });

  test('uses every row when all are asked for', async () => {
    const { output } = await split(await dataset(plain(64)), [40, 12, 12]);
    assert.equal(output['unused'], 0);
  });

  test('refuses rows without text', async () => {
    const ref = await dataset([...plain(30), ['a', '']]);
    await assert.rejects(split(ref, [8, 8, 8]), { code: 'DATA_UNREADABLE', message: /null-filter/ });
  });

  test('the manifest says what the files are and where they come from', async () => {
    const ref = (await dataset(plain(50))) as JsonObject;
    const steps = [{ step: 'read', rows: 50, dropped: 0, dataset: ref }];
    const lineage = { sourceSha256: 'f'.repeat(64), steps };
    const { output } = await split(ref, [30, 10, 10], 7, { lineage });
    const manifest = await harness.json<JsonObject>(output['manifest']);
    assert.deepEqual(manifest['files'], { train: output['train'], dev: output['dev'], test: output['test'] });
    assert.deepEqual(manifest['rows'], { train: 30, dev: 10, test: 10 });
    assert.equal(manifest['sourceSha256'], 'f'.repeat(64));
    assert.deepEqual(manifest['lineage'], steps);
    assert.equal(manifest['seed'], 7);
    assert.match(manifest['duckdbVersion'] as string, /^v1\./);
    const profile = output['profile'] as unknown as DataProfile;
    const { rows: count, sampledRows, classes } = profile.train;
    assert.deepEqual([count, sampledRows, classes], [30, 30, null]);
    assert.ok(profile.train.input.mean >= 14.5);
    assert.equal(profile.dev.input.max, 15);
  });
});
