import { z } from 'zod';

/** What the task demands; decides which rungs are eligible, with a reason for each. */
export const profileSchema = z.strictObject({
  /** Answers need facts that neither the model nor the prompt holds. */
  externalKnowledge: z.boolean().default(false),
  /** Answers must follow a tone or format of their own. */
  customToneOrFormat: z.boolean().default(true),
  /** The facts behind the answers change while the system is in use. */
  changingData: z.boolean().default(false),
  /** Answers must name their sources. */
  citationsNeeded: z.boolean().default(false),
  /** Whether weights may be tuned at all (licence, hosting, skill). */
  tuningAllowed: z.boolean().default(true),
});

export type RequirementProfile = z.infer<typeof profileSchema>;
