import { EscadaFailure } from '../sdk/contracts/failure.ts';
import {
  DEFAULT_STALL_TIMEOUT_MS,
  MIN_HEARTBEAT_TIMEOUT_MS,
  type StepKindV1,
} from '../sdk/contracts/step-kind.ts';

type Timed = Pick<StepKindV1, 'kind' | 'startToCloseTimeoutMs' | 'heartbeatTimeoutMs' | 'stallTimeoutMs'>;

/** Throws `PLUGIN_KIND_INVALID` for a kind whose time-outs no worker can keep. */
export function checkTimeouts(kind: Timed, owner: string): void {
  const { startToCloseTimeoutMs, heartbeatTimeoutMs, stallTimeoutMs = DEFAULT_STALL_TIMEOUT_MS } = kind;
  const refuse = (field: string, value: number, why: string): void => {
    throw new EscadaFailure({
      code: 'PLUGIN_KIND_INVALID',
      message: `Plugin ${owner}, step kind ${kind.kind}: ${field} is ${value}, ${why}.`,
      fields: { plugin: owner, kind: kind.kind, field, value },
    });
  };
  for (const [field, value] of Object.entries({ startToCloseTimeoutMs, heartbeatTimeoutMs, stallTimeoutMs }))
    if (!Number.isFinite(value) || value <= 0) refuse(field, value, 'which is no length of time');
  if (heartbeatTimeoutMs < MIN_HEARTBEAT_TIMEOUT_MS) {
    const why = `but a worker may be busy for a second or two: use at least ${MIN_HEARTBEAT_TIMEOUT_MS}`;
    refuse('heartbeatTimeoutMs', heartbeatTimeoutMs, why);
  }
  if (stallTimeoutMs < heartbeatTimeoutMs)
    refuse('stallTimeoutMs', stallTimeoutMs, `less than heartbeatTimeoutMs (${heartbeatTimeoutMs})`);
}
