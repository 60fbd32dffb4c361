import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import type { ErrorCode } from '../../../schemas/errors/error-codes.ts';
import { processFailures, type ProcessFailures } from '../../sdk/process/failures.ts';

/** Codes of the product's table that a trainer may report itself; all others become `TRAINER_FAILED`. */
export const REPORTED_CODES = [
  'CHECKPOINT_MISMATCH',
  'MODEL_FILE_INVALID',
  'MODEL_UNSUPPORTED',
  'TRAINER_CANCELLED',
  'TRAINER_CRASHED',
  'TRAINER_UNSUPPORTED',
  'TRAINING_DATA_INVALID',
  'TRAINING_NON_FINITE',
  'TRAINING_OUT_OF_MEMORY',
] as const satisfies readonly ErrorCode[];

/** What can go wrong with the process of one trainer. */
export function trainerFailures(trainer: string): ProcessFailures {
  return {
    ...processFailures({
      process: `The process of trainer "${trainer}"`,
      peer: `trainer "${trainer}"`,
      codes: {
        crash: 'TRAINER_CRASHED',
        stall: 'TRAINER_STALLED',
        cancel: 'TRAINER_CANCELLED',
        protocol: 'TRAINER_PROTOCOL',
      },
    }),
    reply({ code, message }, { method }) {
      const known = REPORTED_CODES.find((one) => one === code);
      const fields = { trainer, method, reported: code };
      if (known !== undefined)
        return new EscadaFailure({ code: known, message: `trainer "${trainer}": ${message}`, fields });
      const text = `trainer "${trainer}" reported ${code}: ${message}`;
      return new EscadaFailure({ code: 'TRAINER_FAILED', message: text, fields });
    },
  };
}

/** The command could not be started, or did not complete the handshake. Its arguments are not named: they may hold a password. */
export function notStarted(trainer: string, command: readonly string[], cause: unknown): EscadaFailure {
  const why = cause instanceof Error ? cause.message : String(cause);
  const [program = ''] = command;
  return new EscadaFailure({
    code: 'TRAINER_NOT_STARTED',
    message: `trainer "${trainer}" (${program}) could not be started: ${why}`,
    fields: { trainer, program },
    cause,
  });
}
