import { z } from 'zod';
import type { MetricFactoryV1 } from '../../sdk/contracts/metric.ts';
import { rowMean } from './row-mean.ts';
import { tidy } from './text.ts';

const optionsSchema = z.strictObject({
  ignoreCase: z.boolean().default(true),
  /** The reference must not be part of a longer word or number: "12" is not in "120". */
  wholeWords: z.boolean().default(true),
});

const WORD_CHARACTER = /[\p{L}\p{M}\p{N}]/u;

/** True when a word continues across this place of the text. */
function insideWord(text: string, at: number): boolean {
  const before = [...text.slice(Math.max(0, at - 2), at)].at(-1) ?? '';
  const after = [...text.slice(at, at + 2)][0] ?? '';
  return WORD_CHARACTER.test(before) && WORD_CHARACTER.test(after);
}

function found(text: string, wanted: string, wholeWords: boolean): boolean {
  // Every text contains the empty one; only an empty answer may score for it.
  if (wanted === '') return text === '';
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) {
    if (!wholeWords || (!insideWord(text, at) && !insideWord(text, at + wanted.length))) return true;
  }
  return false;
}

/** Share of answers in which the reference occurs. */
export const containsMetric: MetricFactoryV1 = {
  id: 'contains',
  optionsSchema,
  create: (options) => {
    const { ignoreCase, wholeWords } = options as z.infer<typeof optionsSchema>;
    return rowMean({
      id: 'contains',
      score: ({ prediction, reference }) =>
        found(tidy(prediction, ignoreCase), tidy(reference, ignoreCase), wholeWords) ? 1 : 0,
    });
  },
};
