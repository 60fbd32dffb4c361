import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Buckets } from '../../../plugins/curation/worker/near-dedupe/buckets.ts';
import { bandPlan, Signer } from '../../../plugins/curation/worker/near-dedupe/minhash.ts';
import { jaccard, Shingler } from '../../../plugins/curation/worker/near-dedupe/shingles.ts';
import { randomOf } from './planted.ts';

const hex = (words: Uint32Array): string =>
  Buffer.from(words.buffer, words.byteOffset, words.byteLength).toString('hex');

function setOf(
  texts: readonly string[],
  unit: 'word' | 'character' = 'character',
  size = 5,
  seed = 1,
): Uint32Array {
  const shingler = new Shingler({ unit, size, seed });
  shingler.load(texts);
  return shingler.set();
}

/** The first and the last were also computed apart from this code, in exact integer arithmetic. */
const GOLDEN = {
  characters: 'a1034767ee10480110d83a1e14a88970ee008ade0ad823cb',
  words: 'ca63665be8d7bf3ab9dc65f2e1407af3',
  keys: 'e1c7d6c5bdf4a54635eb7a472b599bd474f4dd05edd4fd24f409bcc40dd3be36',
} as const;

suite('hashes of near-dedupe', () => {
  test('are the same on every machine: these values are part of the contract', () => {
    assert.equal(hex(setOf(['abcdef', 'é👍'])), GOLDEN.characters);
    assert.equal(hex(setOf(['one two three'], 'word', 2)), GOLDEN.words);
    const shingler = new Shingler({ unit: 'character', size: 3, seed: 9 });
    shingler.load(['the quick brown fox']);
    const keys = new Uint32Array(8);
    new Signer({ bands: 4, valuesPerBand: 2 }, 9).sign(shingler, keys, 0, 2);
    assert.equal(hex(keys), GOLDEN.keys);
  });

  test('a shingle is its text, its column and the seed, nothing else', () => {
    assert.deepEqual(setOf(['abcdefabcdef']), setOf(['abcdefabcdefabcdef']));
    assert.equal(setOf(['abcdefabcdef']).length / 2, 6);
    assert.equal(jaccard(setOf(['abcdefgh', '']), setOf(['', 'abcdefgh'])), 0);
    assert.equal(jaccard(setOf(['abcdefgh']), setOf(['abcdefgh'], 'character', 5, 2)), 0);
    assert.equal(jaccard(setOf(['abc']), setOf(['abc'])), 1);
    assert.equal(setOf(['']).length, 0);
    assert.equal(jaccard(setOf(['']), setOf([''])), 1);
    assert.equal(jaccard(setOf(['abcde f']), setOf(['abcde'])), 1 / 3);
  });

  test('do not collide: half a million random shingles are all different', () => {
    const random = randomOf(4);
    const seen = new Set<string>();
    const text = Array.from({ length: 500_000 }, () =>
      String.fromCharCode(97 + Math.floor(random() * 26)),
    ).join('');
    for (let at = 0; at + 8 <= text.length; at += 1) seen.add(text.slice(at, at + 8));
    assert.equal(setOf([text], 'character', 8).length / 2, seen.size);
  });

  test('the buffers grow with long rows', () => {
    const long = Array.from({ length: 5000 }, (_, index) => `w${index}`).join(' ');
    assert.equal(setOf([long], 'word', 1).length / 2, 5000);
  });

  test('bands are as long as they may be and still find pairs at the threshold', () => {
    assert.deepEqual(bandPlan(0.8, 128), { bands: 21, valuesPerBand: 6 });
    assert.deepEqual(bandPlan(0.3, 16), { bands: 16, valuesPerBand: 1 });
    assert.deepEqual(bandPlan(1, 128), { bands: 1, valuesPerBand: 128 });
    for (const threshold of [0.3, 0.5, 0.7, 0.9]) {
      const { bands, valuesPerBand } = bandPlan(threshold, 256);
      assert.ok(bands * valuesPerBand <= 256);
      assert.ok((1 - threshold ** valuesPerBand) ** bands <= 0.005);
    }
  });

  test('rows agree in a value about as often as they are alike', () => {
    const plan = { bands: 2000, valuesPerBand: 1 };
    const signer = new Signer(plan, 5);
    const keysOf = (text: string): Uint32Array => {
      const shingler = new Shingler({ unit: 'character', size: 4, seed: 5 });
      shingler.load([text]);
      const keys = new Uint32Array(2 * plan.bands);
      signer.sign(shingler, keys, 0, 2);
      return keys;
    };
    const a = 'a warm and heavy blanket of pure wool for cold nights by the sea';
    const b = 'a warm and heavy blanket of soft wool for cold nights by the lake';
    const [left, right] = [keysOf(a), keysOf(b)];
    let same = 0;
    for (let band = 0; band < plan.bands; band += 1) if (left[2 * band] === right[2 * band]) same += 1;
    const truth = jaccard(setOf([a], 'character', 4), setOf([b], 'character', 4));
    // Four standard deviations of a share of 2000 draws.
    const tolerance = 4 * Math.sqrt((truth * (1 - truth)) / plan.bands);
    assert.ok(Math.abs(same / plan.bands - truth) < tolerance, `${same / plan.bands} for ${truth}`);
  });

  test('a bucket of several clusters is searched to its end', () => {
    // Without keys from a file all texts are in one bucket.
    const buckets = new Buckets(4);
    buckets.load(-1, [], 0);
    const met: string[] = [];
    buckets.link((text, other) => {
      met.push(`${text}-${other}`);
      return text === 2 && other === 0;
    });
    assert.deepEqual(met, ['1-0', '2-1', '2-0', '3-2', '3-1', '3-0']);
    buckets.load(-1, [], 1);
    met.length = 0;
    buckets.link((text, other) => met.push(`${text}-${other}`) > 0);
    assert.deepEqual(met, ['1-0', '2-1', '3-2']);
  });
});
