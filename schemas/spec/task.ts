import { z } from 'zod';
import { maxNewTokensSchema, maxPromptTokensSchema } from '../common/limits.ts';

/** What the model is asked to do. Lengths are in tokens of the model's own tokenizer. */
export const taskSchema = z.strictObject({
  /** Instruction that every prompt begins with. */
  instruction: z.string().min(1).max(2000),
  /** System message; empty: none. */
  system: z.string().max(2000).default(''),
  /** Longest prompt in tokens; longer rows are dropped. */
  maxPromptTokens: maxPromptTokensSchema.default(512),
  /** Longest answer in tokens; longer rows are dropped. */
  maxAnswerTokens: maxNewTokensSchema.default(64),
});
