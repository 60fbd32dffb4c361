import { CancellationScope, CancelledFailure, isCancellation } from '@temporalio/workflow';
import { Handover } from '../shared/continuation.ts';

/**
 * Waits for all, then throws why it is not whole: the first failure, else the cancellation, else that something was left
 * to the next run.
 */
export async function settle(work: readonly Promise<void>[]): Promise<void> {
  const reasons = (await Promise.allSettled(work)).flatMap((one) =>
    one.status === 'rejected' ? [one.reason as unknown] : [],
  );
  if (reasons.length === 0) return;
  const failure = reasons.find((reason) => !isCancellation(reason) && !(reason instanceof Handover));
  throw failure ?? reasons.find(isCancellation) ?? reasons[0];
}

/** Cancels a branch when a part of it fails. What is left to the next run is no failure: the others finish. */
export function cancelOnFailure(work: Promise<void>, branch: CancellationScope): void {
  work.catch((error: unknown) => {
    if (!(error instanceof Handover)) branch.cancel();
  });
}

/** Of thousands of steps that wait when a run is cancelled, none is to be scheduled, or shown as started. */
export function stopIfCancelled(): void {
  if (CancellationScope.current().consideredCancelled)
    throw new CancelledFailure('Cancelled before it started');
}
