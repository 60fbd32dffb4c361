/** What a scripted step worker does when a workflow calls a step. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { FailureCodes } from '../../../plugins/host/failure-codes.ts';
import { EscadaFailure } from '../../../plugins/sdk/contracts/failure.ts';
import type { ErrorCode, FailureCode } from '../../../schemas/errors/error-codes.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';
import type { StepResult } from '../../../schemas/plan/pipeline-plan.ts';

/** One call of a step, as the worker sees it. */
export interface StepCall {
  readonly activityId: string;
  readonly kind: string;
  readonly input: JsonObject;
  /** The server's count: 1 for the first attempt of a scheduled activity. */
  readonly attempt: number;
  /** The run that called it, and the first one of its chain of runs that continue as new. */
  readonly runId: string;
  readonly firstRunId: string;
  /** How often this activity id was called in the run, scheduled again or retried: 1 for the first call. */
  readonly number: number;
  /** Aborted when the stage closes, so that nothing outlives a test. */
  readonly closing: AbortSignal;
}

/** May leave out what hardly matters: a result that was computed, in no time. */
export type Behaviour = (
  call: StepCall,
) => Promise<Pick<StepResult, 'output'> & Partial<Omit<StepResult, 'output'>>>;

/** Heartbeats of a busy step; a planned step may have a time-out of 1 s, a kind of 5 s. */
const HEARTBEAT_MS = 50;

/** Returns a value, after `afterMs` if that is given. */
export function answer(output: JsonObject = {}, options: { readonly afterMs?: number } = {}): Behaviour {
  return async () => {
    if (options.afterMs !== undefined) await sleep(options.afterMs);
    return { output };
  };
}

/** Returns a value from the store, which costs neither time nor tokens. */
export function cached(output: JsonObject = {}): Behaviour {
  return async () => ({ output, cached: true });
}

/** Returns so many bytes of text as `output.text`. */
export function oversize(sizeBytes: number): Behaviour {
  return async () => ({ output: { text: 'x'.repeat(sizeBytes) } });
}

/** Codes of a plugin beside the built-in ones. */
export const SCRIPTED_CODES = new FailureCodes();
SCRIPTED_CODES.add(
  {
    name: 'scripted',
    failureCodes: { NO_CREDIT: { meaning: 'Empty.', retryable: false, help: 'Add credit.' } },
  },
  'scripted',
);

/** Fails with a code; the table of errors says whether it may be tried again. */
export function failing(code: FailureCode, message = `scripted ${code}`): Behaviour {
  return async () => {
    throw new EscadaFailure({ code, message });
  };
}

/** Fails with a code that may be tried again, and asks to wait so long before that. */
export function failingFor(retryAfterMs: number, code: ErrorCode = 'HUB_UNREACHABLE'): Behaviour {
  return async () => {
    throw new EscadaFailure({ code, message: `wait ${retryAfterMs} ms`, retryAfterMs });
  };
}

/** Fails with an error that has no code, as a bug does. */
export function crashing(error: Error): Behaviour {
  return async () => {
    throw error;
  };
}

/** Works until it is cancelled. */
export function hanging(): Behaviour {
  return async ({ closing }) => await busy(closing, true);
}

/** Works and takes no notice of a cancellation, until `gate` opens or the stage closes; then it answers. */
export function stubborn(gate: Gate, output: JsonObject = {}): Behaviour {
  return async ({ closing }) => {
    await Promise.race([busy(closing, false).catch(() => undefined), gate.opened]);
    return { output };
  };
}

/** Says nothing any more, as a worker that was lost: the step times out. */
export function silent(): Behaviour {
  return async ({ closing }) => await closed(closing);
}

/** The first call does the first one, and so on; the last one is for every further call. */
export function inTurn(...behaviours: readonly [Behaviour, ...Behaviour[]]): Behaviour {
  return async (call) => {
    const chosen = behaviours[Math.min(call.number, behaviours.length) - 1] ?? behaviours[0];
    return await chosen(call);
  };
}

/** Works until the gate opens, then does the other thing. */
export function when(gate: Gate, then: Behaviour): Behaviour {
  return async (call) => {
    await Promise.race([gate.opened, busy(call.closing, true)]);
    return await then(call);
  };
}

/** Something that a test lets happen. */
export class Gate {
  readonly opened: Promise<void>;
  #resolve: () => void = () => undefined;

  constructor() {
    this.opened = new Promise((resolve) => (this.#resolve = resolve));
  }

  open(): void {
    this.#resolve();
  }
}

async function busy(closing: AbortSignal, heedful: boolean): Promise<never> {
  const context = Context.current();
  const timer = setInterval(() => context.heartbeat({}), HEARTBEAT_MS);
  try {
    await Promise.race([aborted(closing), ...(heedful ? [context.cancelled] : [])]);
  } finally {
    clearInterval(timer);
  }
  throw new Error('the stage was closed');
}

/** Throws when the stage closes. */
export async function closed(closing: AbortSignal): Promise<never> {
  await aborted(closing);
  throw new Error('the stage was closed');
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}
