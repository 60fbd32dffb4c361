import { EscadaFailure } from '../plugins/sdk/contracts/failure.ts';
import { MAX_BILLABLE_ATTEMPTS } from '../schemas/plan/constants.ts';
import { translateFailure, type FailureTable } from './failures.ts';
import type { Payer } from './paid-calls.ts';

/** How an attempt of a step is run, depending on whether it costs money. */
export interface Bill {
  run<T>(work: () => Promise<T>): Promise<T>;
  publish(work: () => Promise<void>): Promise<void>;
}

/** Nothing is paid: what fails is tried again as its code allows. */
export const UNBILLED: Bill = {
  run: (work) => work(),
  publish: (work) => work(),
};

/** The attempt, which counts from 1, and who pays. */
export interface BilledAttempt extends Payer {
  readonly attempt: number;
  readonly table: FailureTable;
}

/**
 * A step that costs money: no more attempts than `MAX_BILLABLE_ATTEMPTS`, none after a bug, and none after everything was
 * paid for. Throws `BILLABLE_ATTEMPTS_USED` for an attempt beyond that: a plan cannot know every model, and a worker that
 * is lost fails with no code of its own.
 */
export function billed(payer: BilledAttempt): Bill {
  const { attempt, table, place } = payer;
  const isLast = attempt >= MAX_BILLABLE_ATTEMPTS;
  if (attempt > MAX_BILLABLE_ATTEMPTS) {
    throw new EscadaFailure({
      code: 'BILLABLE_ATTEMPTS_USED',
      message: `Step ${place.nodeId} costs money and was tried ${MAX_BILLABLE_ATTEMPTS} times; it is not tried again by itself.`,
      fields: { step: place.nodeId, attempts: MAX_BILLABLE_ATTEMPTS },
    });
  }
  return {
    run: async (work) => {
      try {
        return await work();
      } catch (error) {
        throw translateFailure(error, table, { attempt, maxInternalAttempts: 1, isLast });
      }
    },
    publish: async (work) => {
      try {
        await work();
      } catch (error) {
        throw translateFailure(error, table, { isLast: true });
      }
    },
  };
}
