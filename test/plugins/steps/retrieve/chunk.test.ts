import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { chunks, type ChunkOptions } from '../../../../plugins/steps/retrieve/chunk.ts';

const chunk = (whole: string, options: ChunkOptions): string[] => [...chunks(whole, options)];

const countWords = (text: string) => text.split(/\s+/u).length;
/** Sentence `n` has `n % 7 + 3` words, each its own. */
const text = Array.from(
  { length: 60 },
  (_, n) => `${Array.from({ length: (n % 7) + 3 }, (_, word) => `W${n}x${word}`).join(' ')}.`,
).join(' ');

suite('chunk', () => {
  test('a short text is one passage, white space alone is none', () => {
    assert.deepEqual(chunk('One. Two.', { maxWords: 20, overlapWords: 5 }), ['One. Two.']);
    assert.deepEqual(chunk(' \n\t ', { maxWords: 20, overlapWords: 5 }), []);
  });

  test('passages end at ends of sentences, keep the limit, and lose no word', () => {
    for (const overlapWords of [0, 8, 40]) {
      const passages = chunk(text, { maxWords: 40, overlapWords });
      for (const passage of passages) {
        assert.ok(countWords(passage) <= 40, passage);
        assert.match(passage, /\.$/);
      }
      assert.deepEqual([...new Set(passages.join(' ').split(' '))], text.split(' '));
    }
  });

  test('neighbours share whole sentences, and each passage brings something new', () => {
    const passages = chunk(text, { maxWords: 40, overlapWords: 12 });
    passages.slice(1).forEach((passage, index) => {
      const before = passages[index] ?? '';
      const first = passage.slice(0, passage.indexOf('.') + 1);
      assert.ok(before.includes(first), `${first} is not in ${before}`);
      assert.ok(!before.includes(passage.slice(passage.lastIndexOf('W'))));
    });
  });

  test('a sentence without an end is cut into pieces', () => {
    const long = Array.from({ length: 95 }, (_, n) => `w${n}`).join(' ');
    const passages = chunk(long, { maxWords: 20, overlapWords: 10 });
    assert.ok(passages.every((passage) => countWords(passage) <= 20));
    assert.deepEqual([...new Set(passages.join(' ').split(' '))], long.split(' '));
  });

  test('passages come one by one, however long the text is', () => {
    const book = 'One. '.repeat(200_000);
    const first = chunks(book, { maxWords: 2000, overlapWords: 30 }).next();
    assert.equal(countWords(first.value as string), 2000);
  });
});
