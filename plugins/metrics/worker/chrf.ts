import { z } from 'zod';
import type { MetricFactoryV1, MetricRow, MetricV1 } from '../../sdk/contracts/metric.ts';
import { countItems, overlap } from './text.ts';

const MAX_ORDER = 6;
const BETA_SQUARED = 4;

// What Python's `str.split()` takes for white space, which is what the reference implementation removes. It differs
// from `\s`: the separators 1C to 1F and the next-line control 85 are in it, the byte order mark is not.
// eslint-disable-next-line no-control-regex -- control characters are the point here
const WHITE_SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/g;

function characterNgrams(characters: readonly string[], order: number): Map<string, number> {
  const ngrams: string[] = [];
  for (let at = 0; at + order <= characters.length; at++)
    ngrams.push(characters.slice(at, at + order).join(''));
  return countItems(ngrams);
}

/** For each order 1 to 6: n-grams in the prediction, in the reference, in both. 18 numbers. */
function rowStatistics({ prediction, reference }: MetricRow): number[] {
  // By code points, never by UTF-16 units: an emoji is one character.
  const [mine, theirs] = [prediction, reference].map((text) => [...text.replace(WHITE_SPACE, '')]) as [
    string[],
    string[],
  ];
  const statistics: number[] = [];
  for (let order = 1; order <= MAX_ORDER; order++) {
    const inReference = Math.max(0, theirs.length - order + 1);
    const inPrediction = Math.max(0, mine.length - order + 1);
    const shared = overlap(characterNgrams(mine, order), characterNgrams(theirs, order));
    // n-grams of an order that the reference does not have count neither for nor against.
    statistics.push(inReference === 0 ? 0 : inPrediction, inReference, shared);
  }
  return statistics;
}

/** F2 of mean precision and mean recall over the orders that occur on both sides. */
function aggregate(sums: readonly number[]): number {
  let precision = 0;
  let recall = 0;
  let orders = 0;
  for (let at = 0; at < 3 * MAX_ORDER; at += 3) {
    const [inPrediction = 0, inReference = 0, shared = 0] = sums.slice(at, at + 3);
    if (inPrediction === 0 || inReference === 0) continue;
    precision += shared / inPrediction;
    recall += shared / inReference;
    orders += 1;
  }
  if (orders === 0 || precision + recall === 0) return 0;
  precision /= orders;
  recall /= orders;
  return ((1 + BETA_SQUARED) * precision * recall) / (BETA_SQUARED * precision + recall);
}

/** Corpus chrF2 (character n-grams to 6, beta 2, white space removed, case kept), 0 to 1. */
export const chrfMetric: MetricFactoryV1 = {
  id: 'chrf',
  optionsSchema: z.strictObject({}),
  create: (): MetricV1 => ({
    specificationVersion: 'v1',
    id: 'chrf',
    doRow: rowStatistics,
    doAggregate: aggregate,
  }),
};
