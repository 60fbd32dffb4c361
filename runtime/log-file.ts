/** Logs of processes that outlive the command that started them: they write to the file itself, not through a pipe. */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { copyFile, mkdir, rename, stat, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A log keeps this much and as much again under `.1`. */
export const MAX_LOG_BYTES = 16 * 1024 * 1024;
const CHECK_EVERY_MS = 30_000;
/** As much of the end of a log as is searched for a last word. */
const TAIL_BYTES = 64 * 1024;

/** Puts the log of an earlier process aside, under `.1`. */
export async function setAside(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await rename(path, `${path}.1`).catch(() => undefined);
}

/** Opens a log for a child's stdout and stderr; `release` closes this process's side once the child has it. */
export function openLog(path: string): { readonly fd: number; release(): void } {
  const fd = openSync(path, 'a', 0o600);
  return { fd, release: () => closeSync(fd) };
}

/** Cuts a log that has grown too long, which whoever appends to it does not notice. */
export async function cutLog(path: string, maxBytes = MAX_LOG_BYTES): Promise<void> {
  const found = await stat(path).catch(() => null);
  if (found === null || found.size <= maxBytes) return;
  await copyFile(path, `${path}.1`);
  await truncate(path, 0);
}

/** Cuts a log from time to time; returns what ends that. */
export function keepShort(path: string): () => void {
  // A full disk must not end the command: the log stays as long as it is.
  const timer = setInterval(() => void cutLog(path).catch(() => undefined), CHECK_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** Bytes of a log so far; 0 without one. */
export function logSize(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** The end of what was written after `fromBytes`. */
export function tailOf(path: string, fromBytes = 0): string {
  const size = logSize(path);
  // A log that was cut meanwhile begins again.
  const from = Math.max(fromBytes > size ? 0 : fromBytes, size - TAIL_BYTES);
  if (size <= from) return '';
  const bytes = Buffer.alloc(size - from);
  const fd = openSync(path, 'r');
  try {
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, bytes.length, from));
  } finally {
    closeSync(fd);
  }
}

const MAX_LINE_CHARACTERS = 400;
/** A failure of the product's own. */
const CODED = /^[\w-]+: [A-Z][A-Z_]{3,}: /;
const PROBLEM = /error|failed|panic/i;
const STACK_FRAME = /^\s+at |^\s*[{}^]|^Node\.js v|^\s*$|^file:\/\//;

/** The last line that says what went wrong, fit for a terminal; null when there is none. */
export function lastWord(text: string): string | null {
  const lines = text.split('\n').filter((line) => !STACK_FRAME.test(line));
  const line =
    lines.findLast((one) => CODED.test(one)) ?? lines.findLast((one) => PROBLEM.test(one)) ?? lines.at(-1);
  if (line === undefined) return null;
  // eslint-disable-next-line no-control-regex -- exactly those are meant
  return line.replaceAll(/\u001b\[[0-9;]*m|[\u0000-\u001f\u007f-\u009f]/g, '').slice(0, MAX_LINE_CHARACTERS);
}
