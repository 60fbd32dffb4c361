import { EscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import type { ErrorCode } from '../../schemas/errors/error-codes.ts';
import type { JsonObject } from '../../schemas/common/json.ts';

/** A fault that may pass by itself: the same request is tried again, from where it broke off. */
export class TransientError extends Error {
  /** How long the server asks to wait, in milliseconds. */
  readonly retryAfterMs: number | null;
  /** Whether no server was reached at all. */
  readonly isOffline: boolean;

  constructor(
    reason: string,
    options: { retryAfterMs?: number | null; isOffline?: boolean; cause?: unknown } = {},
  ) {
    super(reason, options.cause === undefined ? {} : { cause: options.cause });
    this.retryAfterMs = options.retryAfterMs ?? null;
    this.isOffline = options.isOffline ?? false;
  }
}

/** An argument, option or variable that cannot be used; `field` is its name. */
export function inputFailure(field: string, message: string): EscadaFailure {
  return failure('HUB_INPUT_INVALID', message, { field });
}

/** The repository, revision or file is not there. */
export function notFoundFailure(message: string, fields: JsonObject): EscadaFailure {
  return failure('HUB_NOT_FOUND', message, fields);
}

/** The hub knows the repository and refuses it. */
export function accessFailure(message: string, fields: JsonObject): EscadaFailure {
  return failure('HUB_ACCESS_DENIED', message, fields);
}

/** Nothing in the repository is what the engine reads. */
export function nothingUsableFailure(message: string, fields: JsonObject): EscadaFailure {
  return failure('HUB_NOTHING_USABLE', message, fields);
}

/** The server said what the protocol does not allow. */
export function answerFailure(problem: string, fields: JsonObject = {}, cause?: unknown): EscadaFailure {
  return failure('HUB_ANSWER_INVALID', `Unexpected response from the hub: ${problem}.`, fields, cause);
}

/** A file is not, byte for byte, what the hub lists. */
export function damagedFailure(name: string, problem: string): EscadaFailure {
  return failure('HUB_FILE_DAMAGED', `${name}: ${problem}.`, { file: name });
}

/** Tries are used up, or there is no way to the hub. */
export function unreachableFailure(what: string, fault: TransientError, endpoint: string): EscadaFailure {
  const asked = fault.retryAfterMs ?? 0;
  const patience = asked > 0 ? ` and asks to wait ${Math.ceil(asked / 1000)} s` : '';
  const why = fault.isOffline ? `${endpoint} cannot be reached (${fault.message})` : fault.message + patience;
  return new EscadaFailure({
    code: 'HUB_UNREACHABLE',
    message: `${what}: ${why}.`,
    fields: { endpoint },
    ...(asked > 0 ? { retryAfterMs: asked } : {}),
    cause: fault,
  });
}

/** The file system has no room for the pull; without figures when it filled up on the way. */
export function diskFailure(
  folder: string,
  room?: { readonly neededBytes: number; readonly freeBytes: number },
): EscadaFailure {
  const message =
    room === undefined
      ? `The disk of ${folder} is full.`
      : `The model needs ${inMegabytes(room.neededBytes)} more in ${folder}, where ${inMegabytes(room.freeBytes)} are free.`;
  return failure('DISK_FULL', message, { folder, ...room });
}

/** A size as people read it, in decimal units as the hub shows them. */
export function inMegabytes(sizeBytes: number): string {
  if (sizeBytes >= 1e9) return `${(sizeBytes / 1e9).toFixed(2)} GB`;
  return sizeBytes >= 1e5 ? `${(sizeBytes / 1e6).toFixed(1)} MB` : `${sizeBytes} bytes`;
}

/** Text of a server made fit for a terminal: no control characters, and not long. */
export function sanitizeForTerminal(text: string): string {
  return text
    .replaceAll(/[^\x20-\x7e]+/g, ' ')
    .trim()
    .slice(0, 300);
}

function failure(code: ErrorCode, message: string, fields: JsonObject, cause?: unknown): EscadaFailure {
  return new EscadaFailure({ code, message, fields, ...(cause === undefined ? {} : { cause }) });
}
