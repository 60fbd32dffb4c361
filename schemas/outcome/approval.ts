/** Approvals: types only, free for workflow code. */
import type { ArtifactRef } from '../common/artifact-ref.ts';

/** Something that waits for a person's word. */
export interface Approval {
  /** Id of the node that asks. */
  readonly id: string;
  readonly title: string;
  /** SHA-256 of what is approved, in hexadecimal: an answer that names another digest is refused. */
  readonly digest: string;
  /** What is approved (JSON). */
  readonly subject: ArtifactRef;
}

/** What a person sends as the update `approve`. */
export interface ApprovalAnswer {
  readonly id: string;
  readonly digest: string;
  readonly verdict: 'approve' | 'reject';
  readonly by?: string;
  readonly comment?: string;
}

/** An approval that is over; `timed-out` when nobody answered in time. */
export interface ApprovalRecord {
  readonly id: string;
  readonly title: string;
  readonly digest: string;
  readonly verdict: 'approve' | 'reject' | 'timed-out';
  readonly by: string;
  readonly comment: string;
  /** Wall seconds from the question to the answer. */
  readonly seconds: number;
}
