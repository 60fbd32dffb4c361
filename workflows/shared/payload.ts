import { workflowInfo } from '@temporalio/workflow';
import { beyondBounds } from '../../schemas/spec/spec-bounds.ts';
import { MAX_HISTORY_BYTES, MAX_HISTORY_EVENTS, MAX_PAYLOAD_BYTES } from '../../schemas/plan/constants.ts';
import { utf8Bytes } from '../../schemas/common/plain-text.ts';
import { fail } from './fail.ts';

/** Throws `INVALID_SPEC` for a spec that is too deep to be handed on, or too large. */
export function guardSpec(spec: unknown): void {
  const why = beyondBounds(spec);
  if (why !== null) throw fail('INVALID_SPEC', `spec: ${why}`);
}

/**
 * Throws `PAYLOAD_TOO_LARGE` before a value is handed to the server, which would refuse the Workflow Task again and again.
 * `what` begins the message: which node it is for.
 */
export function guardPayload(what: string, value: unknown, maxBytes = MAX_PAYLOAD_BYTES): void {
  const sizeBytes = jsonBytes(value);
  if (sizeBytes === null) throw fail('PAYLOAD_TOO_LARGE', `${what} is nested too deep to be sent.`);
  if (sizeBytes <= maxBytes) return;
  const advice = 'Pass a reference to an artifact instead of the data.';
  throw fail(
    'PAYLOAD_TOO_LARGE',
    `${what} has ${sizeBytes} bytes as JSON; at most ${maxBytes} fit. ${advice}`,
  );
}

/** Bytes of a value as JSON; null when it is nested too deep to be written. */
export function jsonBytes(value: unknown): number | null {
  try {
    return utf8Bytes(JSON.stringify(value ?? null));
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** Throws `HISTORY_FULL` while there is still room for an ending: the server ends a run without a word at its own limits. */
export function guardHistory({ historyLength, historySize } = workflowInfo()): void {
  if (historyLength <= MAX_HISTORY_EVENTS && historySize <= MAX_HISTORY_BYTES) return;
  const size = `${historyLength} events and ${historySize} bytes`;
  throw fail(
    'HISTORY_FULL',
    `The history of this run has ${size}; no further step fits. Divide it into several runs.`,
  );
}
