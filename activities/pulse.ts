import type { Context } from '@temporalio/activity';
import { EscadaFailure } from '../plugins/sdk/contracts/failure.ts';
import { DEFAULT_STALL_TIMEOUT_MS, type StepKindV1 } from '../plugins/sdk/contracts/step-kind.ts';
import type { JsonObject } from '../schemas/common/json.ts';
import { watchMovement } from '../plugins/sdk/movement.ts';
import { redactJson } from '../plugins/sdk/redact.ts';

/** Longest pause between two heartbeats, however patient a kind is: it is the latency of a cancellation, too. */
const MAX_PULSE_MS = 2000;

export interface Pulse {
  /** Aborted when the Activity is cancelled, and when the step has stalled. */
  readonly signal: AbortSignal;
  /** Reports progress, which is a movement; secrets in its texts are masked. */
  report(details: JsonObject): void;
  /** Runs a part of the step. Throws `STEP_STALLED` when nothing moves for the kind's limit, while the part continues. */
  guard<T>(work: () => Promise<T>): Promise<T>;
  stop(): void;
}

type Timed = Pick<StepKindV1, 'kind' | 'heartbeatTimeoutMs' | 'stallTimeoutMs'>;

/**
 * Keeps an Activity alive for as long as its work moves, and repeats its newest details. Beats are counted and not
 * timed, so that a process that was stopped (a closed lid, SIGSTOP) is not taken for work that stalls.
 */
export function startPulse(context: Context, kind: Timed): Pulse {
  const pulseMs = Math.min(MAX_PULSE_MS, kind.heartbeatTimeoutMs / 2);
  const stallTimeoutMs = kind.stallTimeoutMs ?? DEFAULT_STALL_TIMEOUT_MS;
  const maxStillBeats = Math.ceil(stallTimeoutMs / pulseMs);
  const stall = new AbortController();
  let latest: JsonObject = {};
  let [still, holds] = [0, 0];
  const beat = (): void => {
    still = holds > 0 ? 0 : still + 1;
    if (still <= maxStillBeats) return context.heartbeat(latest);
    clearInterval(timer);
    stall.abort(stallFailure(context.info.activityId, kind.kind, stallTimeoutMs, latest));
  };
  const timer = setInterval(beat, pulseMs);
  context.heartbeat(latest);
  const moved = (): void => void (still = 0);
  const hold = (): (() => void) => {
    holds += 1;
    return () => {
      holds -= 1;
      moved();
    };
  };
  return {
    signal: AbortSignal.any([context.cancellationSignal, stall.signal]),
    report: (details) => {
      moved();
      latest = redactJson(details);
      // What beats on after the end must not look alive.
      if (!stall.signal.aborted) context.heartbeat(latest);
    },
    guard: (work) => untilAborted(stall.signal, watchMovement({ moved, hold }, work)),
    stop: () => clearInterval(timer),
  };
}

/** The promise's result, unless the signal aborts first: then its reason is thrown. */
async function untilAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  signal.throwIfAborted();
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort);
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function stallFailure(step: string, kind: string, stallTimeoutMs: number, latest: JsonObject): EscadaFailure {
  const last = JSON.stringify(latest);
  const seen = last === '{}' ? '' : ` Its last report: ${last.slice(0, 300)}.`;
  return new EscadaFailure({
    code: 'STEP_STALLED',
    message: `Step ${step} (${kind}): nothing has moved for ${stallTimeoutMs / 1000} s.${seen}`,
    fields: { step, kind, stallTimeoutMs },
  });
}
