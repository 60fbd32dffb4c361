import { z } from 'zod';
import { artifactRefSchema } from '../common/artifact-ref.ts';
import type { Immutable } from '../common/immutable.ts';

/** A pending approval. */
export const approvalSchema = z.strictObject({
  /** Id of the node that asks. */
  id: z.string(),
  title: z.string(),
  /** SHA-256 of what is approved, in hexadecimal: an answer that names another digest is refused. */
  digest: z.string(),
  /** What is approved (JSON). */
  subject: artifactRefSchema,
});

/** What a person sends as the update `approve`. */
export const approvalAnswerSchema = z.strictObject({
  id: z.string(),
  digest: z.string(),
  verdict: z.enum(['approve', 'reject']),
  by: z.string().optional(),
  comment: z.string().optional(),
});

/** An approval that is over; `timed-out` when nobody answered in time. */
export const approvalRecordSchema = z.strictObject({
  id: z.string(),
  title: z.string(),
  digest: z.string(),
  verdict: z.enum(['approve', 'reject', 'timed-out']),
  by: z.string(),
  comment: z.string(),
  /** Wall seconds from the question to the answer. */
  seconds: z.number(),
});

export type Approval = Immutable<z.infer<typeof approvalSchema>>;
export type ApprovalAnswer = Immutable<z.infer<typeof approvalAnswerSchema>>;
export type ApprovalRecord = Immutable<z.infer<typeof approvalRecordSchema>>;
