import { z } from 'zod';
import { namedColumnSchema } from '../derived.ts';
import { datasetInputSchema, datasetOutputSchema } from '../step-output.ts';

export const balanceInputSchema = datasetInputSchema.extend({
  /** What is a row's class; compared without case and white space. */
  label: namedColumnSchema.default('output'),
  /** `under`: undersample large classes. `over`: oversample small classes. `both`: towards the middle class. */
  method: z.enum(['under', 'over', 'both']).default('under'),
  /** Most that the largest class may be of the smallest one afterwards, as far as the caps allow. */
  maxRatio: z.number().min(1).max(1000).default(1),
  /** How often the result may hold one row, the original included. */
  maxRepeats: z.int().min(1).max(100).default(4),
  /** Rows of larger classes go, whatever the ratio is. */
  maxRowsPerClass: z.int().min(1).optional(),
  /** Classes of fewer rows go entirely, so that a mislabelled row cannot set the class size. */
  minRowsPerClass: z.int().min(1).default(1),
  seed: z.int().min(0).max(2_147_483_647).default(1),
});

const count = z.int().nonnegative();

export const balanceOutputSchema = datasetOutputSchema.extend({
  /** Copies: rows that come in and `made` ones are those that go out and those that are `dropped`. */
  made: count,
  classes: count,
  /** The largest class by the smallest one; 1 when there is none. */
  ratioBefore: z.number().min(1),
  ratioAfter: z.number().min(1),
  /** The largest classes, at most 50. `after` includes `made`. */
  largest: z.array(z.strictObject({ label: z.string(), before: count, after: count, made: count })),
});

export type BalanceInput = z.infer<typeof balanceInputSchema>;
export type BalanceOutput = z.infer<typeof balanceOutputSchema>;
