import { z } from 'zod';
import { usageSchema } from '../../../../schemas/outcome/usage.ts';
import { modelRefSchema } from '../../../../schemas/common/model-ref.ts';
import { datasetInputSchema, datasetOutputSchema } from '../step-output.ts';

export const paraphraseInputSchema = datasetInputSchema.extend({
  model: modelRefSchema,
  system: z.string().max(2000).default(''),
  /** What the model is asked; the input follows on a line of its own. */
  instruction: z
    .string()
    .min(1)
    .max(2000)
    .default(
      'Say the following in other words. Keep every number and every name. Answer with the new wording only.',
    ),
  /** Paraphrases that are asked for, for each original row. */
  copies: z.int().min(1).max(8).default(1),
  /** Original rows that are paraphrased, chosen by seed and content; all of them without it. */
  parents: z.int().min(1).optional(),
  maxNewTokens: z.int().min(1).max(4096).default(128),
  temperature: z.number().gt(0).max(2).default(0.8),
  topP: z.number().gt(0).max(1).default(0.95),
  seed: z.int().min(0).max(2_147_483_647).default(1),
  /** Jaccard similarity of character trigrams: at or above it a paraphrase is a copy of the original. */
  maxSimilarity: z.number().min(0).max(1).default(0.9),
  /** Jaccard similarity of character trigrams: below it a paraphrase has drifted from the original. */
  minSimilarity: z.number().min(0).max(1).default(0.1),
  /** How many times longer or shorter than the original it may be, in characters. */
  maxLengthRatio: z.number().min(1).max(20).default(2),
});

/** Why a paraphrase is rejected, in the order in which the rules are tried. */
export const REJECTIONS = ['empty', 'cut', 'copy', 'length', 'numbers', 'names', 'drift', 'repeat'] as const;
export type Rejection = (typeof REJECTIONS)[number];

const count = z.int().nonnegative();

export const paraphraseOutputSchema = datasetOutputSchema.extend({
  /** Answers of the model; `dropped` of them were rejected, the others are new rows. */
  made: count,
  accepted: count,
  rejected: z.strictObject({
    empty: count,
    cut: count,
    copy: count,
    length: count,
    numbers: count,
    names: count,
    drift: count,
    repeat: count,
  }),
  usage: usageSchema,
});

export type ParaphraseInput = z.infer<typeof paraphraseInputSchema>;
export type ParaphraseOutput = z.infer<typeof paraphraseOutputSchema>;
