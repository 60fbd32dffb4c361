// Damaged files for every reader, of the engine and of the TypeScript side, half of the time each:
//   npm run fuzz -- --seconds 600 --seed 7 --json
// Prints counts per reader. Ends with 1 when a reader panicked, failed without a code, took more memory than its bound
// or too long. `--only <reader> --from <number>` starts at one input: it follows from seed, reader and number.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { cargoEnv, cargoTargetFolder } from '../../runtime/bootstrap/cargo-target.mjs';
import { faults, lineOf } from './counts.ts';
import type { ReaderCounts } from './counts.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** A half that takes so much longer than it was given hangs. */
const GRACE_MS = 90_000;

interface Half {
  readonly name: string;
  readonly counts: readonly ReaderCounts[];
  /** How it ended, when that was not as it should. */
  readonly problem: string | null;
}

/** Runs a program to its end; collects its output. */
async function collect(
  program: string,
  args: readonly string[],
  limitMs: number,
): Promise<{ out: string; problem: string | null }> {
  const env = await cargoEnv({ root: ROOT });
  const child = spawn(program, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, limitMs);
  return await new Promise((resolve) => {
    child.once('error', (error) => resolve({ out, problem: error.message }));
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      const ended = signal === null ? `status ${code}` : `signal ${signal}`;
      const problem = late ? `it hung and was stopped after ${limitMs} ms` : code === 0 ? null : ended;
      resolve({ out, problem });
    });
  });
}

async function runHalf(name: string, command: readonly string[], seconds: number): Promise<Half> {
  const [program = '', ...args] = command;
  const { out, problem } = await collect(program, args, seconds * 1000 + GRACE_MS);
  const lines = out.split('\n').filter((line) => line.startsWith('{'));
  const counts = lines.map((line) => JSON.parse(line) as ReaderCounts);
  return { name, counts, problem };
}

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
    from: { type: 'string' },
  },
});

/** Each half in turn: their memory is measured. A half that was not asked for (`--only`) knows no such reader. */
async function main(): Promise<boolean> {
  const seconds = Number(values.seconds) / 2;
  const passed = ['seconds', 'seed', 'only', 'from'] as const;
  const options = passed.flatMap((name) => {
    const value = name === 'seconds' ? String(seconds) : values[name];
    return value === undefined ? [] : [`--${name}`, value];
  });
  const build = await collect(
    'cargo',
    // The whole workspace, as `cargo test` builds it: nothing is compiled twice for other features.
    ['build', '--locked', '--quiet', '--workspace', '--example', 'fuzz'],
    1_800_000,
  );
  if (build.problem !== null) throw new Error(`cargo build: ${build.problem}`);
  const engine = path.join(cargoTargetFolder(process.env), 'debug', 'examples', 'fuzz');
  const script = fileURLToPath(new URL('./typescript-half.ts', import.meta.url));
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', script];
  const halves = [
    await runHalf('engine', [engine, ...options], seconds),
    await runHalf('typescript', [...node, ...options], seconds),
  ];
  const ran = values.only === undefined ? halves : halves.filter(({ counts }) => counts.length > 0);
  const found = ran.flatMap(({ counts }) => counts).reduce((sum, counts) => sum + faults(counts), 0);
  const bad = ran.length === 0 || found > 0 || ran.some(({ problem }) => problem !== null);
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ seed: Number(values.seed), faults: found, halves: ran })}\n`);
    return bad;
  }
  for (const { name, counts, problem } of ran) {
    process.stdout.write(`${name}${problem === null ? '' : `: ended with ${problem}`}\n`);
    for (const one of counts) process.stdout.write(`  ${lineOf(one)}\n`);
  }
  return bad;
}

process.exitCode = (await main()) ? 1 : 0;
