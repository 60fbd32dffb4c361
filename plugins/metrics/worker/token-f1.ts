import { z } from 'zod';
import type { MetricFactoryV1 } from '../../sdk/contracts/metric.ts';
import { rowMean } from './row-mean.ts';
import { countItems, overlap, splitWords } from './text.ts';

const optionsSchema = z.strictObject({ ignoreCase: z.boolean().default(true) });

/** F1 of two lists of words as multisets. Two empty lists agree; one empty list agrees with nothing. */
export function wordF1(mine: readonly string[], theirs: readonly string[]): number {
  if (mine.length === 0 || theirs.length === 0) return mine.length === theirs.length ? 1 : 0;
  return (2 * overlap(countItems(mine), countItems(theirs))) / (mine.length + theirs.length);
}

/** Mean over rows of the F1 of words; punctuation does not count. */
export const tokenF1Metric: MetricFactoryV1 = {
  id: 'token-f1',
  optionsSchema,
  create: (options) => {
    const { ignoreCase } = options as z.infer<typeof optionsSchema>;
    return rowMean({
      id: 'token-f1',
      score: ({ prediction, reference }) =>
        wordF1(splitWords(prediction, ignoreCase), splitWords(reference, ignoreCase)),
    });
  },
};
