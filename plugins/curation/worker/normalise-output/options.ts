import { z } from 'zod';
import { datasetInputSchema } from '../step-output.ts';

/**
 * What an output can look like: JSON; text with a fenced block; lines that all begin as list items; other text of
 * several lines; one line with a full stop, question or exclamation mark at its end; one line without.
 */
export const OUTPUT_FORMATS = ['json', 'code', 'list', 'lines', 'sentence', 'phrase'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

export const normaliseOutputInputSchema = datasetInputSchema.extend({
  /** `nfc`: one code for each composed character. */
  unicode: z.enum(['nfc', 'keep']).default('nfc'),
  /** `ascii`: typographic quotes, dashes, the ellipsis and no-break spaces as they are typed. */
  punctuation: z.enum(['keep', 'ascii']).default('keep'),
  /** `unwrap`: an output that is one fenced block becomes what is in it. */
  codeFences: z.enum(['unwrap', 'keep']).default('unwrap'),
  /** Blank lines that may follow one another outside fenced blocks. */
  maxBlankLines: z.int().min(0).max(10).default(1),
  finalNewline: z.enum(['none', 'one']).default('none'),
  /** Rows of any other form are dropped. */
  require: z.enum(['any', ...OUTPUT_FORMATS]).default('any'),
});

export type NormaliseOutputInput = z.infer<typeof normaliseOutputInputSchema>;
