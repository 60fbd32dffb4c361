import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { suite, test } from 'node:test';
import type { PluginRegistrar } from '../../../plugins/sdk/contracts/plugin.ts';
import type { RetrieverDocument, RetrieverV1 } from '../../../plugins/sdk/contracts/retriever.ts';
import { retrievalPlugin } from '../../../plugins/retrieval/index.ts';
import { lexicalRetriever } from '../../../plugins/retrieval/worker/lexical-retriever.ts';

const documents = (texts: readonly string[]): RetrieverDocument[] =>
  texts.map((text, index) => ({ id: `d${index}`, text }));

const work = { signal: new AbortController().signal };

async function search(texts: readonly string[], query: string, limit = 10) {
  const index = await lexicalRetriever.doIndex(documents(texts), work);
  try {
    return await index.doSearch(query, limit);
  } finally {
    await index.close();
  }
}

const idsOf = (found: readonly { readonly id: string }[]): string[] => found.map(({ id }) => id);

suite('retriever lexical', () => {
  test('the plugin brings it', () => {
    const brought: RetrieverV1[] = [];
    const registrar = { addRetriever: (retriever: RetrieverV1) => void brought.push(retriever) };
    retrievalPlugin.register(registrar as unknown as PluginRegistrar, {});
    assert.deepEqual(
      brought.map(({ id }) => id),
      ['lexical'],
    );
  });

  test('ranks by shared rare words, best first, scores positive', async () => {
    const texts = ['red wool scarf', 'blue wool hat', 'steel water bottle', 'wool wool wool'];
    const found = await search(texts, 'a red wool thing');
    assert.equal(found[0]?.id, 'd0');
    assert.deepEqual(idsOf(found).sort(), ['d0', 'd1', 'd3']);
    assert.ok(found.every(({ score }, place) => score > 0 && score <= (found[place - 1]?.score ?? score)));
  });

  test('scores stay positive when every document holds the word', async () => {
    const found = await search(['same text', 'same text', 'same text'], 'same');
    assert.equal(found.length, 3);
    assert.ok(found.every(({ score }) => score > 0));
  });

  test('equal scores come in the order of the documents', async () => {
    const texts = Array.from({ length: 50 }, () => 'the very same words');
    for (let round = 0; round < 3; round += 1) {
      assert.deepEqual(
        idsOf(await search(texts, 'same words', 20)),
        texts.slice(0, 20).map((_, index) => `d${index}`),
      );
    }
  });

  test('case, accents and Unicode form do not count', async () => {
    assert.deepEqual(idsOf(await search(['Grüne CAFÉ-Tasse', 'x'], 'cafe\u0301')), ['d0']);
    assert.deepEqual(idsOf(await search(['Cafe\u0301', 'x'], 'CAFÉ')), ['d0']);
    assert.deepEqual(idsOf(await search(['Привет мир', 'x'], 'МИР')), ['d0']);
    assert.deepEqual(idsOf(await search(['東京 タワー', 'x'], '東京')), ['d0']);
  });

  test('any text is a safe query', async () => {
    const hostile = [
      '"',
      '""" OR',
      'a" OR "b',
      'NEAR(a b)',
      'text:a*',
      '^a',
      "'; DROP TABLE texts; --",
      '(',
      '-a',
      '\0a',
    ];
    for (const query of hostile) {
      await assert.doesNotReject(search(['a b', 'near or'], query), query);
    }
    assert.deepEqual(idsOf(await search(['or', 'and', 'not'], 'NOT')), ['d2']);
  });

  test('nothing is found for no words, no documents or no limit', async () => {
    assert.deepEqual(await search(['a'], ''), []);
    assert.deepEqual(await search(['a'], ' \t … !?'), []);
    assert.deepEqual(await search([], 'a'), []);
    assert.deepEqual(await search(['a'], 'a', 0), []);
    assert.equal((await search(['', 'a\0b'], 'b')).length, 1);
  });

  test('very common words are left out of large collections, unless the query has no others', async () => {
    const texts = Array.from({ length: 2000 }, (_, index) => `the thing ${index}`);
    const index = await lexicalRetriever.doIndex(documents(texts), work);
    assert.deepEqual(idsOf(await index.doSearch('the thing 77', 5)), ['d77']);
    assert.equal((await index.doSearch('the thing', 5)).length, 5);
    await index.close();
  });

  test('takes a very long query', async () => {
    const query = Array.from({ length: 20_000 }, (_, index) => `w${index}`).join(' ');
    assert.deepEqual(idsOf(await search(['w3', 'z'], query)), ['d0']);
  });

  test('refuses two documents with one id', async () => {
    const twice = [
      { id: 'a', text: 'x' },
      { id: 'a', text: 'y' },
    ];
    await assert.rejects(lexicalRetriever.doIndex(twice, work), { code: 'INTERNAL', message: /"a"/ });
  });

  test('a written index finds the same and gives the texts back; equal documents give equal bytes', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'escada-index-'));
    const texts = ['red wool scarf', 'blue wool hat', "a 'quoted' \0 text", 'steel water bottle'];
    for (const name of ['one', 'two'])
      await lexicalRetriever.doWrite(documents(texts), join(folder, name), work);
    assert.deepEqual(readFileSync(join(folder, 'one')), readFileSync(join(folder, 'two')));
    const index = await lexicalRetriever.doOpen(join(folder, 'one'), work);
    assert.equal(index.documents, 4);
    assert.deepEqual(await index.doSearch('a red wool thing', 3), await search(texts, 'a red wool thing', 3));
    assert.deepEqual(await index.doTexts(['d1', 'd0']), ['blue wool hat', 'red wool scarf']);
    await assert.rejects(index.doTexts(['d1', 'd9']), { code: 'DATA_UNREADABLE' });
    await index.close();
  });

  test('a file that is no index is refused, whatever it holds', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'escada-index-'));
    const good = join(folder, 'good');
    await lexicalRetriever.doWrite(documents(['one text']), good, work);
    const bytes = readFileSync(good);
    const other = Buffer.from(bytes);
    other.writeUInt32BE(7, 60); // SQLite's user version: our layout
    const cases = {
      empty: Buffer.alloc(0),
      text: Buffer.from('no index'.repeat(99)),
      half: bytes.subarray(0, 3000),
      other,
    };
    for (const [name, content] of Object.entries(cases)) {
      writeFileSync(join(folder, name), content);
      await assert.rejects(
        lexicalRetriever.doOpen(join(folder, name), work),
        { code: 'DATA_UNREADABLE' },
        name,
      );
    }
    await assert.rejects(lexicalRetriever.doOpen(join(folder, 'missing'), work), { code: 'DATA_UNREADABLE' });
  });

  test('a large index is filled, written and searched beside the event loop, and given up when asked', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'escada-index-'));
    const texts = Array.from(
      { length: 30_000 },
      (_, at) => `item ${at} of colour ${at % 97} weighs ${at % 89}`,
    );
    const done: number[] = [];
    let turns = 0;
    let running = true;
    const writing = lexicalRetriever
      .doWrite(documents(texts), join(folder, 'large'), { ...work, onProgress: (now) => done.push(now) })
      .finally(() => (running = false));
    while (running) {
      await nextTurn();
      turns += 1;
    }
    await writing;
    assert.deepEqual([done.length, done.at(-1)], [30, 30_000]);
    assert.ok(turns > 10 * done.length, `${turns} turns of the event loop`);
    const cancelled = new AbortController();
    const reason = new Error('cancelled');
    const index = await lexicalRetriever.doOpen(join(folder, 'large'), { signal: cancelled.signal });
    assert.equal(index.documents, 30_000);
    cancelled.abort(reason);
    await assert.rejects(index.doSearch('item', 3), reason);
    await index.close();
    const giveUp = new AbortController();
    const filling = lexicalRetriever.doIndex(documents(texts), {
      signal: giveUp.signal,
      onProgress: () => giveUp.abort(reason),
    });
    await assert.rejects(filling, reason);
  });

  test('prints no warning', async () => {
    const module = new URL('../../../plugins/retrieval/worker/lexical-retriever.ts', import.meta.url).href;
    const script = `const { lexicalRetriever } = await import('${module}');
      const work = { signal: new AbortController().signal };
      await (await lexicalRetriever.doIndex([{ id: 'a', text: 'b' }], work)).close();
      process.emitWarning('another one');`;
    const { stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    assert.doesNotMatch(stderr, /SQLite/);
    assert.match(stderr, /another one/);
  });
});
