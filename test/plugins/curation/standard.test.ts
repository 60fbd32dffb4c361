import assert from 'node:assert/strict';
import type { CountRequest, CountResult } from '../../../plugins/sdk/contracts/language-model.ts';
import { copyFile, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { isEscadaFailure } from '../../../plugins/sdk/contracts/failure.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';
import { Harness, csvOf } from './harness.ts';
import { digestsOf, runStandard } from './run-standard.ts';

const INPUTS = {
  columns: { input: 'in', output: 'out' },
  model: { provider: 'testing', id: 'words' },
  task: { system: '', instruction: 'Describe it.' },
  maxPromptTokens: 60,
  maxAnswerTokens: 80,
  sizes: { train: 600, dev: 100, test: 120 },
  seed: 3,
};

/** Rows with every kind of dirt, the same each time. */
function dirtyRows(count: number): (string | null)[][] {
  return Array.from({ length: count }, (_, index) => {
    if (index % 11 === 3) return [`  thing ${index}`, index % 2 === 0 ? null : ' \t '];
    if (index % 13 === 5) return [`copied thing ${index % 7}`, 'Copied   answer'];
    if (index % 17 === 6) return [`thing ${index}`, 'long '.repeat(100)];
    return [`thing\u00a0 number ${index}\r\n`, `A fine\u200b thing, number ${index}, well made. `];
  });
}

suite('pipeline standard', () => {
  test('the funnel adds up and the nodes have their names', async () => {
    const harness = await Harness.open();
    try {
      await harness.file('dirty.csv', csvOf(dirtyRows(2000)));
      const outputs = await runStandard(harness, { ...INPUTS, source: { path: 'dirty.csv' } });
      const names = ['read', 'null-filter', 'normalise', 'exact-dedupe', 'token-filter', 'split'];
      assert.deepEqual(Object.keys(outputs), names);
      let rows = 2000;
      for (const name of names.slice(0, 5)) {
        const output = outputs[name] ?? {};
        rows -= Number(output['dropped']);
        assert.equal(output['rows'], rows, name);
        assert.equal((await harness.rows(output['dataset'])).length, rows, name);
      }
      assert.ok(
        ['null-filter', 'exact-dedupe', 'token-filter'].every(
          (name) => Number(outputs[name]?.['dropped']) > 50,
        ),
      );
      const split = outputs['split'] ?? {};
      assert.equal(Number(split['unused']), rows - 820);
      const manifest = await harness.json<{ lineage: { step: string }[]; sourceSha256: string }>(
        split['manifest'],
      );
      assert.deepEqual(
        manifest.lineage.map(({ step }) => step),
        names.slice(0, 5),
      );
      assert.equal(manifest.sourceSha256, outputs['read']?.['sourceSha256']);
    } finally {
      await harness.close();
    }
  });

  test('equal input gives equal bytes, whatever the threads and the memory', async () => {
    const csv = csvOf(dirtyRows(50_000));
    const sizes = { train: 20_000, dev: 1000, test: 1000 };
    const seen: string[][] = [];
    const settings: JsonObject[] = [
      { threads: 1 },
      { threads: 2 },
      { threads: 2, memoryLimitMiB: 256 },
      { threads: 4 },
    ];
    for (const options of settings) {
      const harness = await Harness.open(options);
      try {
        await harness.file('dirty.csv', csv);
        seen.push(digestsOf(await runStandard(harness, { ...INPUTS, sizes, source: { path: 'dirty.csv' } })));
      } finally {
        await harness.close();
      }
    }
    assert.equal(seen[0]?.length, 14);
    for (const digests of seen) assert.deepEqual(digests, seen[0]);
  });

  test('a cancelled step stops at once with the reason of the cancellation', async () => {
    const harness = await Harness.open({ threads: 1 });
    try {
      const rows = Array.from({ length: 200_000 }, (_, index) => [
        `thing ${index} `.repeat(9),
        `answer  ${index}`,
      ]);
      const read = await harness.read(await harness.file('large.csv', csvOf(rows)));
      const running = harness.run('curate.normalise@1', { dataset: read['dataset'] });
      const started = performance.now();
      setTimeout(() => harness.abort(), 100);
      await assert.rejects(running, /cancelled by the test/);
      assert.ok(performance.now() - started < 1500);
      await assert.rejects(harness.run('curate.null-filter@1', { dataset: read['dataset'] }), /cancelled/);
    } finally {
      await harness.close();
    }
  });

  test('heartbeats while the engine works', async () => {
    const harness = await Harness.open({ threads: 1 });
    try {
      harness.model = { ...harness.model, doCountTokens: slowCount };
      await harness.file('small.csv', csvOf([['a', 'b']]));
      const { dataset } = await harness.read('small.csv');
      await harness.run('curate.token-filter@1', { ...filterOptions(), dataset });
      assert.ok(harness.heartbeats.length >= 1);
      assert.match(harness.heartbeats[0]?.['phase'] as string, /counting tokens|starting/);
    } finally {
      await harness.close();
    }
  });

  const data = join(import.meta.dirname, '../../../../shared/data');
  const shared = join(data, 'catalogue-real.csv');
  test('real catalogue: funnel and split of a file nobody cleaned', async (context) => {
    if ((await stat(shared).catch(() => null)) === null) {
      context.skip('catalogue-real.csv is not beside this checkout (../shared/data)');
      return;
    }
    const harness = await Harness.open();
    try {
      await copyFile(shared, join(harness.folder, 'catalogue.csv'));
      const columns = { input: 'product_name', output: 'description', group: 'category' };
      const inputs = { ...INPUTS, columns, source: { path: 'catalogue.csv' }, maxAnswerTokens: 120 };
      const outputs = await runStandard(harness, { ...inputs, sizes: { train: 240, dev: 32, test: 48 } });
      context.diagnostic(JSON.stringify(funnelOf(outputs)));
      assert.equal(outputs['read']?.['rows'], 1000);
      await assert.rejects(
        runStandard(harness, { ...inputs, columns: { ...columns, output: 'descripton' } }),
        (error: unknown) => isEscadaFailure(error) && /Did you mean "description"/.test(error.message),
      );
    } finally {
      await harness.close();
    }
  });

  test('real reviews: a label task in TSV, sentences of one review together', async (context) => {
    const text = await readFile(join(data, 'review-sentiment-real.tsv'), 'utf8').catch(() => null);
    if (text === null) {
      context.skip('review-sentiment-real.tsv is not beside this checkout (../shared/data)');
      return;
    }
    const harness = await Harness.open();
    try {
      const lines = text.split('\r\n').filter((line) => line !== '');
      const rows = lines.map((line) => {
        const [id = '', rating = '', sentence = ''] = line.split('\t');
        return `${id.split('_')[0]}\t${Number(rating) < 0 ? 'bad' : 'good'}\t${sentence}\r\n`;
      });
      await harness.file('reviews.tsv', `review\tlabel\tsentence\r\n${rows.join('')}`);
      const columns = { input: 'sentence', output: 'label', group: 'review' };
      const outputs = await runStandard(harness, { ...INPUTS, columns, source: { path: 'reviews.tsv' } });
      context.diagnostic(JSON.stringify(funnelOf(outputs)));
      assert.equal(outputs['read']?.['rows'], lines.length);
      assert.deepEqual(outputs['split']?.['rows'], INPUTS.sizes);
    } finally {
      await harness.close();
    }
  });
});

function filterOptions(): JsonObject {
  const { model, task, maxPromptTokens, maxAnswerTokens } = INPUTS;
  return { model, task, maxPromptTokens, maxAnswerTokens };
}

async function slowCount({ rows }: CountRequest): Promise<CountResult> {
  await new Promise((resolve) => setTimeout(resolve, 2800));
  return { counts: rows.map(({ id }) => ({ id, promptTokens: 1, answerTokens: 1 })) };
}

function funnelOf(outputs: { readonly [node: string]: JsonObject }): JsonObject {
  const split = outputs['split'] ?? {};
  const kept = Object.entries(outputs).map(([name, output]) => [name, output['rows'] ?? null]);
  const { groups = 0, largestGroup = 0, unused = 0, contamination = {} } = split;
  return { ...Object.fromEntries(kept), groups, largestGroup, unused, contamination } as JsonObject;
}
