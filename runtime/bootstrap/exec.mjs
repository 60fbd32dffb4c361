import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import path from 'node:path';
import { BootstrapError } from './errors.mjs';
import { withDirectLoopback } from './loopback.mjs';

/** @typedef {Record<string, string | undefined>} Env */
/** @typedef {{ code: number, output: string }} Finished  `output` is standard output and error together. */

const OUTPUT_LIMIT_CHARS = 200_000;
/** Parts of a failed program's output that are kept: causes tend to come first, consequences last. */
const SHOWN_FIRST_LINES = 15;
const SHOWN_LAST_LINES = 30;

/**
 * Runs a program to its end and keeps the tail of its output.
 * @param {string} program
 * @param {string[]} args
 * @param {{ cwd?: string, env?: Env, signal?: AbortSignal, onText?: (text: string) => void }} [options]
 * @returns {Promise<Finished>} Also for a non-zero exit; rejects only when the program could not be started or
 *   was aborted.
 */
export function run(program, args, { cwd, env = process.env, signal, onText } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: withDirectLoopback(env),
      signal,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    /** @param {Buffer} chunk */
    const collect = (chunk) => {
      const text = chunk.toString('utf8');
      onText?.(text);
      output = (output + text).slice(-OUTPUT_LIMIT_CHARS);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    /** @type {Error | undefined} */
    let failure;
    child.once('error', (error) => {
      failure = error;
      // A program that never started never closes; an aborted one is waited for, so that it is gone when its
      // files are removed.
      if (child.pid === undefined) reject(error);
    });
    child.once('close', (code, killedBy) => {
      if (failure !== undefined) reject(failure);
      else resolve({ code: code ?? signalExitCode(killedBy), output });
    });
  });
}

/**
 * Like `run`, but a non-zero exit is a `BootstrapError` that shows the end of the output.
 * @param {string} what What was tried, as in "`what` failed".
 * @param {string} program
 * @param {string[]} args
 * @param {Parameters<typeof run>[2]} [options]
 * @returns {Promise<string>} The output.
 */
export async function runOrFail(what, program, args, options) {
  const { code, output } = await run(program, args, options);
  if (code === 0) return output;
  throw new BootstrapError({
    code: 'SETUP_COMMAND_FAILED',
    message: `${what} failed (${path.basename(program)} ended with ${code}):`,
    advice: bothEnds(asShown(output)),
  });
}

/**
 * A text without the escapes that move a terminal's cursor and colour its letters.
 * @param {string} text
 */
export function withoutEscapes(text) {
  // eslint-disable-next-line no-control-regex -- An escape begins with this character.
  return text.replaceAll(/\x1b\[[0-9;]*[A-Za-z]/g, '');
}

/**
 * The lines that a terminal would show in the end: without progress that was written over, and without npm's list of
 * requests.
 * @param {string} output
 */
function asShown(output) {
  const lines = output.trimEnd().split('\n');
  return lines
    .map((line) => withoutEscapes(line).trimEnd().split('\r').at(-1) ?? '')
    .filter((line) => !line.startsWith('npm http '));
}

/** @param {string[]} lines */
function bothEnds(lines) {
  const left = lines.length - SHOWN_FIRST_LINES - SHOWN_LAST_LINES;
  if (left <= 1) return lines;
  return [
    ...lines.slice(0, SHOWN_FIRST_LINES),
    `… ${left} lines left out …`,
    ...lines.slice(-SHOWN_LAST_LINES),
  ];
}

/**
 * The exit code a shell reports for a process ended by a signal.
 * @param {NodeJS.Signals | null} signal
 * @returns {number}
 */
export function signalExitCode(signal) {
  /** @type {Partial<Record<NodeJS.Signals, number>>} */
  const numbers = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 };
  return signal === null ? 1 : 128 + (numbers[signal] ?? 0);
}

/**
 * Every executable file called `name` on the PATH of `env`, in order.
 * @param {string} name
 * @param {Env} [env]
 * @returns {Promise<string[]>}
 */
export async function findAllOnPath(name, env = process.env) {
  const found = [];
  for (const folder of (env.PATH ?? '').split(path.delimiter)) {
    if (folder === '') continue;
    const candidate = path.join(folder, name);
    if (await isExecutable(candidate)) found.push(candidate);
  }
  return found;
}

/**
 * The first executable file called `name` on the PATH of `env`, or null.
 * @param {string} name
 * @param {Env} [env]
 */
export async function findOnPath(name, env = process.env) {
  return (await findAllOnPath(name, env))[0] ?? null;
}

/**
 * Whether the path is a file that may be executed.
 * @param {string} file
 */
export async function isExecutable(file) {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}
