/** Programs that parity runs and benchmarks start: examples of the engine's crates, and scripts that print JSON. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { cargoEnv } from '../../runtime/bootstrap/cargo-target.mjs';
import { runOrFail } from '../../runtime/bootstrap/exec.mjs';

/** Repository root. */
export const ROOT = join(import.meta.dirname, '../..');

/** Last characters of a failed program's standard error that are shown. */
const SHOWN_CHARS = 2_000;

/** Builds an example of an engine crate in release mode and returns the program's path. */
export async function buildExample(crate: string, example: string): Promise<string> {
  const env = await cargoEnv({ root: ROOT });
  const args = ['build', '--release', '--locked', '--quiet', '-p', crate, '--example', example];
  await runOrFail(`cargo build --example ${example}`, 'cargo', args, { cwd: ROOT, env });
  return join(env.CARGO_TARGET_DIR, 'release', 'examples', example);
}

/** How a program is started. */
export interface Start {
  readonly env?: NodeJS.ProcessEnv;
  /** Gets each whole line of standard output as it comes. */
  readonly onLine?: (line: string) => void;
}

/**
 * Runs a program whose last line of standard output is JSON, and returns that value.
 *
 * Throws when it cannot start, ends with an error (its standard error is quoted) or prints no JSON.
 */
export async function runForJson(program: string, args: string[], start: Start = {}): Promise<unknown> {
  const child = spawn(program, args, {
    cwd: ROOT,
    env: start.env ?? process.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [rest, last, problems] = ['', '', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      last = line;
      start.onLine?.(line);
    }
  });
  child.stderr
    .setEncoding('utf8')
    .on('data', (text: string) => (problems = (problems + text).slice(-SHOWN_CHARS)));
  const ended = await new Promise<string | number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal));
  });
  if (ended !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${ended}:\n${problems}`);
  return JSON.parse(last) as unknown;
}
