import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import type { PluginRegistrar } from '../../../plugins/api/plugin.ts';
import type { RetrieverDocument, RetrieverV1 } from '../../../plugins/api/retriever.ts';
import { retrievalPlugin } from '../../../plugins/retrieval/index.ts';
import { lexicalRetriever } from '../../../plugins/retrieval/worker/lexical-retriever.ts';

const documents = (texts: readonly string[]): RetrieverDocument[] =>
  texts.map((text, index) => ({ id: `d${index}`, text }));

function search(texts: readonly string[], query: string, limit = 10) {
  const index = lexicalRetriever.doIndex(documents(texts));
  try {
    return index.doSearch(query, limit);
  } finally {
    index.close();
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

  test('ranks by shared rare words, best first, scores positive', () => {
    const texts = ['red wool scarf', 'blue wool hat', 'steel water bottle', 'wool wool wool'];
    const found = search(texts, 'a red wool thing');
    assert.equal(found[0]?.id, 'd0');
    assert.deepEqual(idsOf(found).sort(), ['d0', 'd1', 'd3']);
    assert.ok(found.every(({ score }, place) => score > 0 && score <= (found[place - 1]?.score ?? score)));
  });

  test('scores stay positive when every document holds the word', () => {
    const found = search(['same text', 'same text', 'same text'], 'same');
    assert.equal(found.length, 3);
    assert.ok(found.every(({ score }) => score > 0));
  });

  test('equal scores come in the order of the documents', () => {
    const texts = Array.from({ length: 50 }, () => 'the very same words');
    for (let round = 0; round < 3; round += 1) {
      assert.deepEqual(
        idsOf(search(texts, 'same words', 20)),
        texts.slice(0, 20).map((_, index) => `d${index}`),
      );
    }
  });

  test('case, accents and Unicode form do not count', () => {
    assert.deepEqual(idsOf(search(['Grüne CAFÉ-Tasse', 'x'], 'cafe\u0301')), ['d0']);
    assert.deepEqual(idsOf(search(['Cafe\u0301', 'x'], 'CAFÉ')), ['d0']);
    assert.deepEqual(idsOf(search(['Привет мир', 'x'], 'МИР')), ['d0']);
    assert.deepEqual(idsOf(search(['東京 タワー', 'x'], '東京')), ['d0']);
  });

  test('any text is a safe query', () => {
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
      assert.doesNotThrow(() => search(['a b', 'near or'], query), query);
    }
    assert.deepEqual(idsOf(search(['or', 'and', 'not'], 'NOT')), ['d2']);
  });

  test('nothing is found for no words, no documents or no limit', () => {
    assert.deepEqual(search(['a'], ''), []);
    assert.deepEqual(search(['a'], ' \t … !?'), []);
    assert.deepEqual(search([], 'a'), []);
    assert.deepEqual(search(['a'], 'a', 0), []);
    assert.deepEqual(search(['', 'a\0b'], 'b').length, 1);
  });

  test('very common words are left out of large collections, unless the query has no others', () => {
    const texts = Array.from({ length: 2000 }, (_, index) => `the thing ${index}`);
    const index = lexicalRetriever.doIndex(documents(texts));
    assert.deepEqual(idsOf(index.doSearch('the thing 77', 5)), ['d77']);
    assert.equal(index.doSearch('the thing', 5).length, 5);
    index.close();
  });

  test('takes a very long query', () => {
    const query = Array.from({ length: 20_000 }, (_, index) => `w${index}`).join(' ');
    assert.deepEqual(idsOf(search(['w3', 'z'], query)), ['d0']);
  });

  test('refuses two documents with one id', () => {
    const twice = [
      { id: 'a', text: 'x' },
      { id: 'a', text: 'y' },
    ];
    assert.throws(() => lexicalRetriever.doIndex(twice), { code: 'INTERNAL', message: /"a"/ });
  });

  test('a written index finds the same and gives the texts back; equal documents give equal bytes', () => {
    const folder = mkdtempSync(join(tmpdir(), 'escada-index-'));
    const texts = ['red wool scarf', 'blue wool hat', "a 'quoted' \0 text", 'steel water bottle'];
    for (const name of ['one', 'two']) lexicalRetriever.doWrite(documents(texts), join(folder, name));
    assert.deepEqual(readFileSync(join(folder, 'one')), readFileSync(join(folder, 'two')));
    const index = lexicalRetriever.doOpen(join(folder, 'one'));
    assert.equal(index.documents, 4);
    assert.deepEqual(index.doSearch('a red wool thing', 3), search(texts, 'a red wool thing', 3));
    assert.equal(index.doText('d1'), 'blue wool hat');
    assert.throws(() => index.doText('d9'), { code: 'DATA_UNREADABLE' });
    index.close();
  });

  test('a file that is no index is refused, whatever it holds', () => {
    const folder = mkdtempSync(join(tmpdir(), 'escada-index-'));
    const good = join(folder, 'good');
    lexicalRetriever.doWrite(documents(['one text']), good);
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
      assert.throws(() => lexicalRetriever.doOpen(join(folder, name)), { code: 'DATA_UNREADABLE' }, name);
    }
    assert.throws(() => lexicalRetriever.doOpen(join(folder, 'missing')), { code: 'DATA_UNREADABLE' });
  });

  test('prints no warning', () => {
    const module = new URL('../../../plugins/retrieval/worker/lexical-retriever.ts', import.meta.url).href;
    const script = `const { lexicalRetriever } = await import('${module}');
      lexicalRetriever.doIndex([{ id: 'a', text: 'b' }]).close();
      process.emitWarning('another one');`;
    const { stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    assert.doesNotMatch(stderr, /SQLite/);
    assert.match(stderr, /another one/);
  });
});
