import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import { ERROR_CODES, type ErrorCode } from '../../../schemas/errors/error-codes.ts';
import { fileFailureFromText } from '../../sdk/file-failures.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';
import { processFailures, type ProcessFailures } from '../../sdk/process/failures.ts';

const ENGINE = { what: 'A file of the engine' } as const;

/** The error of a reply. A code outside the product's table means that the two sides were not built together. */
function replyFailure(
  error: { code: string; message: string; fields?: JsonObject | undefined },
  { method }: { method: string },
): EscadaFailure {
  const fields = { ...error.fields, method };
  // The engine passes on what the system said: a full disk is as final here as anywhere.
  const ofDisk = error.code === 'ENGINE_IO' ? fileFailureFromText(error.message, ENGINE) : null;
  if (ofDisk !== null) return ofDisk;
  if (Object.hasOwn(ERROR_CODES, error.code)) {
    return new EscadaFailure({ code: error.code as ErrorCode, message: error.message, fields });
  }
  return new EscadaFailure({
    code: 'ENGINE_INTERNAL',
    message: `unknown error code ${error.code}: ${error.message}`,
    fields,
  });
}

/** What can go wrong with the engine's process. */
export const ENGINE_FAILURES: ProcessFailures = {
  ...processFailures({
    process: "The engine's process",
    peer: 'the engine',
    codes: {
      crash: 'ENGINE_CRASHED',
      stall: 'ENGINE_STALLED',
      cancel: 'ENGINE_CANCELLED',
      protocol: 'ENGINE_INTERNAL',
    },
  }),
  reply: replyFailure,
};

export const { cancel: cancelFailure, protocol: protocolFailure } = ENGINE_FAILURES;
