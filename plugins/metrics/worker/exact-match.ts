import { z } from 'zod';
import type { MetricFactoryV1 } from '../../sdk/contracts/metric.ts';
import { rowMean } from './row-mean.ts';
import { tidy } from './text.ts';

const optionsSchema = z.strictObject({ ignoreCase: z.boolean().default(false) });

/** Share of answers equal to the reference, runs of white space aside. */
export const exactMatchMetric: MetricFactoryV1 = {
  id: 'exact-match',
  optionsSchema,
  create: (options) => {
    const { ignoreCase } = options as z.infer<typeof optionsSchema>;
    return rowMean({
      id: 'exact-match',
      score: ({ prediction, reference }) =>
        tidy(prediction, ignoreCase) === tidy(reference, ignoreCase) ? 1 : 0,
    });
  },
};
