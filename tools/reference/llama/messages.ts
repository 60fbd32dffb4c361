/** What `replies.ts` is given and what it prints. */
import { z } from 'zod';

export const taskSchema = z.strictObject({
  model: z.string(),
  /** LoRA adapter as GGUF. */
  lora: z.string().optional(),
  /** Element type of cached keys and values; llama.cpp's default is F16. */
  cacheType: z.enum(['F16', 'F32']),
  prompts: z.array(z.string()),
  newTokens: z.int().positive(),
});
export type LlamaTask = z.infer<typeof taskSchema>;

const replySchema = z.strictObject({
  promptTokens: z.int(),
  text: z.string(),
  /** Of each new token: the text before it, and its logit's lead over the next best. */
  steps: z.array(z.strictObject({ textBefore: z.string(), gap: z.number() })),
});
export type Reply = z.infer<typeof replySchema>;

export const repliesSchema = z.strictObject({ replies: z.array(replySchema) });
export type Replies = z.infer<typeof repliesSchema>;
