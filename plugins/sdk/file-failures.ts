/** One translation of what an operating system says about a disk, a path or a right into coded failures. */
import { EscadaFailure, isEscadaFailure } from './contracts/failure.ts';
import type { ErrorCode } from '../../schemas/errors/error-codes.ts';

interface Reason {
  readonly code: ErrorCode;
  readonly why: string;
  /** How programs that only pass on texts (the table engine, the native engine) say it. */
  readonly text: RegExp;
}

/** By `errno` name. The rest (too many open files, an interrupted call) may pass by itself and stays as it is. */
const REASONS: Readonly<Record<string, Reason>> = {
  ENOSPC: {
    code: 'DISK_FULL',
    why: 'no space is left on the disk',
    text: /No space left on device|Out of disk|max_temp_directory_size/i,
  },
  EDQUOT: { code: 'DISK_FULL', why: 'the disk quota is used up', text: /Disk quota exceeded/i },
  EFBIG: {
    code: 'DISK_FULL',
    why: 'the file is larger than this process may write',
    text: /File too large/,
  },
  EROFS: {
    code: 'OUTPUT_NOT_WRITABLE',
    why: 'its file system is read-only',
    text: /Read-only file system/i,
  },
  EACCES: { code: 'OUTPUT_NOT_WRITABLE', why: 'permission is denied', text: /Permission denied/i },
  EPERM: { code: 'OUTPUT_NOT_WRITABLE', why: 'it is not permitted', text: /Operation not permitted/i },
  EISDIR: { code: 'PATH_NOT_USABLE', why: 'it is a folder, not a file', text: /Is a directory/i },
  ENOTDIR: {
    code: 'PATH_NOT_USABLE',
    why: 'a part of the path is a file, not a folder',
    text: /Not a directory/i,
  },
  ENAMETOOLONG: { code: 'PATH_NOT_USABLE', why: 'the name is too long', text: /File name too long/i },
  ELOOP: { code: 'PATH_NOT_USABLE', why: 'its links lead in a circle', text: /Too many .*symbolic links/i },
};

/** What was being done, for the message. */
export interface Place {
  /** Such as "The report"; default: "The file". */
  readonly what?: string;
  /** Path as the user knows it; default: the one in the error. */
  readonly path?: string;
}

/**
 * The coded failure for an error of the operating system, or for the text of one: `DISK_FULL`, `OUTPUT_NOT_WRITABLE` or
 * `PATH_NOT_USABLE`, each with the path. Null for everything else, coded failures included.
 */
export function fileFailure(cause: unknown, place: Place = {}): EscadaFailure | null {
  if (isEscadaFailure(cause) || !(cause instanceof Error)) return null;
  const { code, path: named } = cause as NodeJS.ErrnoException;
  const known = typeof code === 'string' && Object.hasOwn(REASONS, code) ? REASONS[code] : undefined;
  return known === undefined ? null : failure(known, place.path ?? named, place, cause);
}

/** The same for a text that a table engine or a native engine wrote about a file. */
export function fileFailureFromText(text: string, place: Place = {}, cause?: unknown): EscadaFailure | null {
  const known = Object.values(REASONS).find((reason) => reason.text.test(text));
  return known === undefined ? null : failure(known, place.path, place, cause ?? new Error(text), text);
}

/** Runs `work`; errors of the operating system leave it as coded failures. */
export async function withFileFailures<T>(place: Place, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fileFailure(error, place) ?? error;
  }
}

/**
 * The coded failure for an output that could not be written where a user wants it: `DISK_FULL`, and `OUTPUT_NOT_WRITABLE`
 * for every other error of the operating system. `path` as the user wrote it. Everything else passes.
 */
export function outputFailure(cause: unknown, what: string, path: string): unknown {
  if (isEscadaFailure(cause) || !(cause instanceof Error) || !('errno' in cause)) return cause;
  const { code = '' } = cause as NodeJS.ErrnoException;
  const known = Object.hasOwn(REASONS, code) ? REASONS[code] : undefined;
  const why = known?.why ?? (code === 'ENOENT' ? 'its folder does not exist' : cause.message);
  const message = `${what} cannot be written to ${path}: ${why}.`;
  const full = known?.code === 'DISK_FULL';
  return new EscadaFailure({
    code: full ? 'DISK_FULL' : 'OUTPUT_NOT_WRITABLE',
    message,
    fields: { path },
    cause,
  });
}

function failure(
  { code, why }: Reason,
  path: string | undefined,
  { what = 'The file' }: Place,
  cause: unknown,
  text = '',
): EscadaFailure {
  const where = path === undefined ? '' : ` ${path}`;
  const said = text === '' ? '' : ` (${text.split('\n')[0]?.slice(0, 300)})`;
  const verb = code === 'PATH_NOT_USABLE' ? 'cannot be used' : 'cannot be written or read';
  const message = `${what}${where} ${verb}: ${why}${said}.`;
  return new EscadaFailure({ code, message, fields: { path: path ?? '' }, cause });
}
