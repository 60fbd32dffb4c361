import { EscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import type { Approval } from '../../schemas/outcome/approval.ts';

/** Characters of a digest that are enough to say what one looked at. */
export const MIN_DIGEST_CHARACTERS = 12;

/** The options that name this approval, as it is now, for a command line. */
export function approvalOptions({ id, digest }: Pick<Approval, 'id' | 'digest'>): string {
  return `--id ${id} --digest ${digest.slice(0, MIN_DIGEST_CHARACTERS)}`;
}

/**
 * The pending approval that an answer is for, and the digest to send with it: the whole one if `digest` begins it, else
 * `digest` as it is, which the run refuses. Throws `APPROVAL_UNKNOWN`, and `APPROVAL_INVALID` without a digest: what
 * is pending now may be something else than what the person looked at.
 */
export function chooseApproval(
  pending: readonly Approval[],
  run: string,
  { id, digest }: { readonly id?: string | undefined; readonly digest?: string | undefined },
): { readonly approval: Approval; readonly digest: string } {
  const approval =
    id === undefined && pending.length === 1 ? pending[0] : pending.find((one) => one.id === id);
  if (approval === undefined) throw unknown(pending, run);
  if (digest === undefined || digest.length < MIN_DIGEST_CHARACTERS) {
    const message = `Say what you looked at: "${approval.title}" is about ${approval.subject.uri}. If that is it, add ${approvalOptions(approval)}.`;
    throw new EscadaFailure({ code: 'APPROVAL_INVALID', message });
  }
  return { approval, digest: approval.digest.startsWith(digest) ? approval.digest : digest };
}

function unknown(pending: readonly Approval[], run: string): EscadaFailure {
  const ids = pending.map((one) => one.id).join(', ');
  const message =
    pending.length === 0
      ? `No pending approvals in "${run}".`
      : `Name one of the approvals that are pending in "${run}" with --id: ${ids}.`;
  return new EscadaFailure({ code: 'APPROVAL_UNKNOWN', message });
}
