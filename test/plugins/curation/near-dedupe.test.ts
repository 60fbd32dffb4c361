import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { JsonObject } from '../../../schemas/common/json.ts';
import { Harness, csvOf } from './harness.ts';
import { clusterTexts, nearDedupe } from './near-dedupe-run.ts';
import { agreement, plantedRows, shuffled, truePairs } from './planted.ts';
import type { Shape } from './planted.ts';
import { checkValue, issuesOf } from '../../../plugins/sdk/schema-check/check-value.ts';

const KIND = 'curate.near-dedupe@1';

interface Sample {
  readonly row: number;
  readonly reason: string;
}

suite('curate.near-dedupe@1', () => {
  let harness: Harness;
  before(async () => {
    harness = await Harness.open({ threads: 2 });
  });
  after(() => harness.close());

  const plain = (texts: readonly (readonly [string, string])[]) =>
    texts.map(([input, output]) => ({ input, output }));
  const keptRows = async (output: JsonObject) =>
    (await harness.rows(output['dataset'])).map(({ row }) => Number(row));

  for (const shape of [
    { unit: 'character', size: 5 },
    { unit: 'word', size: 2 },
  ] as const satisfies Shape[]) {
    test(`finds planted duplicates: ${shape.size} ${shape.unit}s`, async (context) => {
      const rows = plantedRows(shape.unit === 'word' ? 700 : 400, 12);
      const pairs = truePairs(rows, shape, 0.8);
      const { output, found } = await nearDedupe(harness, rows, { shingle: shape });
      const measured = agreement(found, pairs);
      context.diagnostic(JSON.stringify({ ...measured, candidates: output['candidates'] }));
      assert.ok(pairs.length >= 30, `only ${pairs.length} true pairs`);
      assert.ok(measured.recall >= 0.98 && measured.precision >= 0.98, JSON.stringify(measured));
      assert.equal(Number(output['rows']) + Number(output['dropped']), rows.length);
      assert.ok(Number(output['verified']) <= Number(output['candidates']));
    });
  }

  test('clusters and kept texts do not depend on the order of the rows or the threads', async () => {
    const rows = plantedRows(400, 3);
    const seen = new Set<string>();
    const numbers = new Set<string>();
    for (const threads of [1, 2, 4]) {
      const other = await Harness.open({ threads });
      try {
        const mixed = threads === 1 ? rows : shuffled(rows, threads);
        const { output, found, kept } = await nearDedupe(other, mixed);
        seen.add(JSON.stringify([clusterTexts(mixed, found), [...kept].sort()]));
        const { rows: left, dropped, clusters, largestCluster, candidates, verified } = output;
        numbers.add(JSON.stringify({ left, dropped, clusters, largestCluster, candidates, verified }));
        if (threads === 4) {
          const again = await nearDedupe(other, mixed);
          assert.deepEqual(again.output, output);
        }
      } finally {
        await other.close();
      }
    }
    assert.equal(seen.size, 1);
    assert.deepEqual([...numbers].length, 1, [...numbers].join('\n'));
  });

  test('keeps the longest text and says which row stays and how alike they are', async () => {
    const text = 'a soft woollen scarf in deep red, made by hand in a small mill in the north';
    const { output } = await nearDedupe(
      harness,
      plain([
        ['red scarf', text],
        ['blue hat', 'nothing like the other rows of this file, as anybody can see at once'],
        ['red scarf', `${text}!`],
        ['Red  scarf', text.toUpperCase()],
      ]),
    );
    assert.deepEqual(await keptRows(output), [2, 3]);
    assert.equal(output['clusters'], 1);
    assert.equal(output['largestCluster'], 3);
    assert.equal(output['distinctTexts'], 3);
    const samples = await harness.json<Sample[]>(output['droppedSamples']);
    assert.deepEqual(
      samples.map(({ row, reason }) => [row, reason]),
      [
        [1, 'near duplicate of row 3 (Jaccard 0.99)'],
        [4, 'near duplicate of row 3 (Jaccard 0.99)'],
      ],
    );
    assert.equal(output['otherOutputs'], 2);
  });

  test('equal texts are one, also where only case differs', async () => {
    const { output } = await nearDedupe(
      harness,
      plain([
        ['ab', 'yes'],
        ['AB ', 'Yes'],
        ['ab', 'no'],
      ]),
    );
    const samples = await harness.json<Sample[]>(output['droppedSamples']);
    assert.match(samples[0]?.reason ?? '', /^same text as row [12] \(Jaccard 1\.00\)$/);
    assert.deepEqual([output['rows'], output['candidates']], [2, 0]);
  });

  test('a chain joins rows that are not alike themselves, and says so', async () => {
    const words = Array.from({ length: 60 }, (_, index) => `word${index * 37}`);
    const part = (start: number) => words.slice(start, start + 40).join(' ');
    // Each step of four words leaves 36 of 44 in common; from the first to the last it is less than half.
    const rows = plain([0, 4, 8, 12, 16].map((start) => ['same', part(start)] as const));
    const { output } = await nearDedupe(harness, rows, { shingle: { unit: 'word', size: 1 } });
    assert.deepEqual([output['rows'], output['largestCluster']], [1, 5]);
    const samples = await harness.json<Sample[]>(output['droppedSamples']);
    assert.ok(samples.some(({ reason }) => reason.includes(', through rows like both)')));
  });

  test('compares only the columns that the option names', async () => {
    const rows = plain([
      ['the very same question about the very same thing', 'one answer that goes this way'],
      ['the very same question about the very same thing', 'and quite another one for you'],
      ['something else, which nobody has asked before now', 'one answer that goes this way'],
    ]);
    const left = async (columns: string) => (await nearDedupe(harness, rows, { columns })).output['rows'];
    assert.deepEqual([await left('both'), await left('input'), await left('output')], [3, 2, 2]);
  });

  test('originals stay before rows derived from them', async () => {
    const long = 'a fine and sturdy thing that lasts for many years of use';
    const name = await harness.file(
      'derived.csv',
      csvOf([
        ['thing', long],
        ['things', `${long} and more`],
      ]),
    );
    const { dataset } = await harness.read(name);
    const select = `SELECT *, CASE WHEN row = 2 THEN 'r1' END AS parent FROM src`;
    const output = await harness.run(KIND, { dataset: await harness.remake(dataset, select) });
    assert.deepEqual(await keptRows(output), [1]);
  });

  test('takes rows without text and datasets without rows', async () => {
    const name = await harness.file('none.csv', 'in,out\n');
    const none = await harness.run(KIND, { dataset: (await harness.read(name))['dataset'] });
    assert.deepEqual([none['rows'], none['clusters'], none['largestCluster']], [0, 0, 0]);
    const { output } = await nearDedupe(
      harness,
      plain([
        ['', ''],
        ['a', ''],
        ['', ''],
      ]),
    );
    assert.deepEqual([output['rows'], output['dropped']], [2, 1]);
  });

  test('works within the smallest memory limit', async () => {
    const small = await Harness.open({ threads: 1, memoryLimitMiB: 128 });
    try {
      const rows = plantedRows(250, 3);
      const [tight, wide] = [await nearDedupe(small, rows), await nearDedupe(harness, rows)];
      assert.deepEqual(tight.output, wide.output);
    } finally {
      await small.close();
    }
  });

  test('refuses options out of range, with the field', () => {
    const { withSchema } = harness.kind(KIND);
    const dataset = {
      uri: `artifact:sha256:${'a'.repeat(64)}`,
      sha256: 'a'.repeat(64),
      sizeBytes: 1,
      mediaType: 'x',
    };
    assert.equal(checkValue(withSchema, { dataset }).success, true);
    for (const [path, options] of Object.entries({
      threshold: { threshold: 1.2 },
      permutations: { permutations: 4 },
      columns: { columns: 'text' },
      'shingle.size': { shingle: { size: 0 } },
      'shingle.unit': { shingle: { unit: 'line' } },
      seed: { seed: -1 },
    })) {
      assert.deepEqual(
        issuesOf(withSchema, { dataset, ...options }).map((issue) => issue.path.join('.')),
        [path],
      );
    }
  });

  test('stops at once when it is cancelled, while hashing and while comparing', async () => {
    const rows = plantedRows(2000, 5);
    for (const file of ['keys.bin', 'shingles.bin']) {
      const other = await Harness.open({ threads: 2 });
      try {
        const csv = csvOf(rows.map(({ input, output }) => [input, output]));
        const { dataset } = await other.read(await other.file('rows.csv', csv));
        const running = other.run(KIND, { dataset, permutations: 1024 });
        const [abortedAt] = await Promise.all([
          other.abortOn(file),
          assert.rejects(running, /cancelled by the test/),
        ]);
        assert.ok(performance.now() - abortedAt < 1500);
      } finally {
        await other.close();
      }
    }
  });
});
