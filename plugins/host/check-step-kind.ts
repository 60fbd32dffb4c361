import { EscadaFailure } from '../sdk/contracts/failure.ts';
import {
  DEFAULT_STALL_TIMEOUT_MS,
  MIN_HEARTBEAT_TIMEOUT_MS,
  RETRY_CLASSES,
  type StepKindV1,
} from '../sdk/contracts/step-kind.ts';
import { RESOURCE_CLASSES } from '../../schemas/plan/queues.ts';

type Checked = Pick<
  StepKindV1,
  'kind' | 'resource' | 'retry' | 'startToCloseTimeoutMs' | 'heartbeatTimeoutMs' | 'stallTimeoutMs'
>;
type Refuse = (field: string, value: string | number, why: string) => void;

/** Throws `PLUGIN_KIND_INVALID` for a kind whose classes or time-outs no worker can keep. */
export function checkStepKind(kind: Checked, owner: string): void {
  const refuse: Refuse = (field, value, why) => {
    throw new EscadaFailure({
      code: 'PLUGIN_KIND_INVALID',
      message: `Plugin ${owner}, step kind ${kind.kind}: ${field} is ${value}, ${why}.`,
      fields: { plugin: owner, kind: kind.kind, field, value },
    });
  };
  checkClasses(kind, refuse);
  checkTimeouts(kind, refuse);
}

/** What a function returns is checked when it is called: for every plan. */
function checkClasses({ resource, retry }: Checked, refuse: Refuse): void {
  for (const [field, value, allowed] of [
    ['resource', resource, RESOURCE_CLASSES],
    ['retry', retry, RETRY_CLASSES],
  ] as const)
    if (typeof value !== 'function' && !(allowed as readonly unknown[]).includes(value))
      refuse(field, JSON.stringify(value), `but must be one of ${allowed.join(', ')}, or a function`);
}

function checkTimeouts(kind: Checked, refuse: Refuse): void {
  const { startToCloseTimeoutMs, heartbeatTimeoutMs, stallTimeoutMs = DEFAULT_STALL_TIMEOUT_MS } = kind;
  for (const [field, value] of Object.entries({ startToCloseTimeoutMs, heartbeatTimeoutMs, stallTimeoutMs }))
    if (!Number.isFinite(value) || value <= 0) refuse(field, value, 'which is no length of time');
  if (heartbeatTimeoutMs < MIN_HEARTBEAT_TIMEOUT_MS) {
    const why = `but a worker may be busy for a second or two: use at least ${MIN_HEARTBEAT_TIMEOUT_MS}`;
    refuse('heartbeatTimeoutMs', heartbeatTimeoutMs, why);
  }
  if (stallTimeoutMs < heartbeatTimeoutMs)
    refuse('stallTimeoutMs', stallTimeoutMs, `less than heartbeatTimeoutMs (${heartbeatTimeoutMs})`);
}
