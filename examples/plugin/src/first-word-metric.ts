import { z } from 'zod';
import type { MetricFactoryV1 } from 'escada/plugin-api';

const optionsSchema = z.strictObject({ ignoreCase: z.boolean().default(true) });

const firstWord = (text: string): string => text.trim().split(/\s+/)[0] ?? '';

/** Share of answers whose first word is the reference's. A row's statistics are [hits, rows]; sums of them give the score. */
export const firstWordMetric: MetricFactoryV1 = {
  id: 'first-word',
  optionsSchema,
  create: (given) => {
    const { ignoreCase } = optionsSchema.parse(given);
    const form = (text: string): string => (ignoreCase ? firstWord(text).toLowerCase() : firstWord(text));
    return {
      specificationVersion: 'v1',
      id: 'first-word',
      doRow: ({ prediction, reference }) => [form(prediction) === form(reference) ? 1 : 0, 1],
      doAggregate: ([hits = 0, rows = 0]) => (rows === 0 ? 0 : hits / rows),
    };
  },
};
