import { performance } from 'node:perf_hooks';
import type { FinishedAction } from '../core/store/action-cache.ts';
import type { ScratchV1 } from '../plugins/sdk/contracts/artifact-store.ts';
import { EscadaFailure } from '../plugins/sdk/contracts/failure.ts';
import type { StepContext, StepKindV1, StepServices } from '../plugins/sdk/contracts/step-kind.ts';
import { withRowsIn } from '../plugins/sdk/rows-folder.ts';
import type { JsonObject } from '../schemas/common/json.ts';
import { MAX_PAYLOAD_BYTES } from '../schemas/plan/constants.ts';
import type { Pulse } from './pulse.ts';
import { parseValue } from '../plugins/sdk/schema-check/check-value.ts';

/** What an attempt of a step works with. */
export interface StepAttempt {
  readonly services: StepServices;
  readonly pulse: Pulse;
  readonly scratch: ScratchV1;
}

/** Does what the kind does, and checks its output. Throws `PAYLOAD_TOO_LARGE` for one that no history can hold. */
export async function executeStep(
  kind: StepKindV1,
  input: unknown,
  { services, pulse, scratch }: StepAttempt,
): Promise<FinishedAction> {
  const started = performance.now();
  const step: StepContext = {
    ...services,
    signal: pulse.signal,
    heartbeat: (details) => pulse.report(details),
    scratchDir: scratch.attemptDir,
    checkpoints: scratch.checkpoints,
  };
  const output = await withRowsIn(scratch.attemptDir, async () => await kind.doRun(input, step));
  pulse.signal.throwIfAborted();
  const checked = parseValue(kind.outputSchema, output);
  guardSize(kind.kind, checked);
  return { output: checked, seconds: (performance.now() - started) / 1000 };
}

function guardSize(kind: string, output: JsonObject): void {
  const sizeBytes = Buffer.byteLength(JSON.stringify(output));
  if (sizeBytes <= MAX_PAYLOAD_BYTES) return;
  throw new EscadaFailure({
    code: 'PAYLOAD_TOO_LARGE',
    message: `Step kind ${kind} returned ${sizeBytes} bytes; at most ${MAX_PAYLOAD_BYTES} may travel in a history.`,
    fields: { kind, sizeBytes },
  });
}
