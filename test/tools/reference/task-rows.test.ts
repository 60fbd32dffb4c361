import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { inventedProducts, questionRows, sentimentRows } from '../../../tools/reference/task-rows.ts';

/** Rated sentences: 20 good ones, 20 bad ones and 5 that say little. */
const SENTENCES = [
  ...Array.from({ length: 20 }, (_, at) => `${at}_1\t2.5\tgood thing number ${at}`),
  ...Array.from({ length: 20 }, (_, at) => `${at}_2\t-1.5\tbad thing number ${at}`),
  ...Array.from({ length: 5 }, (_, at) => `${at}_3\t0.3\tthing number ${at}`),
].join('\r\n');

async function withSentences(work: (file: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'escada-test-'));
  try {
    const file = join(folder, 'sentences.tsv');
    await writeFile(file, SENTENCES);
    await work(file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

suite('rows of the parity tasks', () => {
  test('questions hold what their context says, and the answer only with its passage', () => {
    const products = inventedProducts(30, 5);
    const [bare, right, three] = (['none', 'right passage', 'three passages'] as const).map((context) =>
      questionRows(30, context, 5).map((row) => row.messages[0]?.content ?? ''),
    );
    products.forEach(({ passage, question, wanted }, at) => {
      assert.ok(bare?.[at]?.startsWith(question) && !bare[at].includes(wanted));
      assert.ok(right?.[at]?.startsWith(passage) && right[at].includes(wanted));
      assert.equal(three?.[at]?.split('is new this year').length, 4);
      assert.ok(three[at]?.includes(passage));
    });
  });

  test('a seed gives the same products again, another seed others', () => {
    assert.deepEqual(inventedProducts(30, 5), inventedProducts(30, 5));
    assert.notDeepEqual(inventedProducts(30, 5), inventedProducts(30, 6));
  });

  test('only clear ratings are asked; shots are balanced and none of them is asked', async () => {
    await withSentences(async (file) => {
      const rows = await sentimentRows(file, 30, 4, 1);
      assert.equal(rows.length, 30);
      for (const { prompt, wanted } of rows) {
        const reviews = prompt.split('\n\n');
        assert.equal(reviews.length, 5);
        assert.equal(reviews.filter((review) => review.endsWith('Sentiment: positive')).length, 2);
        assert.equal(reviews.filter((review) => review.endsWith('Sentiment: negative')).length, 2);
        assert.match(reviews.at(-1) ?? '', wanted === 0 ? /^Review: good/ : /^Review: bad/);
        assert.ok(!reviews.slice(0, 4).some((review) => review.startsWith(reviews.at(-1) ?? '')));
      }
    });
  });

  test('too few clear ratings are refused with both numbers', async () => {
    await withSentences(async (file) => {
      await assert.rejects(sentimentRows(file, 40, 4, 1), /40 clearly rated sentences, 48 are needed/);
    });
  });
});
