/**
 * `npm run check:sanitize`: the engine's unsafe code under observation. The CPU back end's and the readers' tests run with
 * the address sanitizer (`-- --only address`), and the thread team and the readers in the interpreter miri (`-- --only
 * miri`), which sees data races and broken rules of borrowing too. Not part of `npm test`: it takes minutes, and few
 * machines have miri. Runs what can run here; ends with 1 where a test fails, or where something is missing, and says what.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cargoEnv } from '../../runtime/bootstrap/cargo-target.mjs';
import type { Env } from '../../runtime/bootstrap/exec.mjs';
import { ROOT } from '../reference/programs.ts';
import { hostTarget, missingFor, type Check } from './needs.ts';

const CHECKS: readonly Check[] = ['address', 'miri'];
const [CPU, FORMATS] = ['escada-engine-cpu', 'escada-engine-formats'];

/** Tests of the CPU back end that go through every kernel, and of the readers of hostile files. */
const OBSERVED = {
  address: [
    ['test', '-p', CPU, '--lib', '--tests'],
    ['test', '-p', FORMATS, '--lib', '--test', 'hostile'],
  ],
  // The interpreter is a thousand times slower than the machine: only what is small, and has no vector instructions.
  miri: [
    ['+nightly', 'miri', 'test', '-p', CPU, '--test', 'team'],
    ['+nightly', 'miri', 'test', '-p', FORMATS, '--lib', '--', 'atomic', 'gguf_', 'nf4', 'untrusted'],
  ],
} as const;

/** Runs cargo with its output shown and returns its exit code. */
async function cargo(args: readonly string[], env: Env): Promise<number> {
  const child = spawn('cargo', args, { cwd: ROOT, env, stdio: 'inherit' });
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
}

/** The environment of a check: build products of its own, since every flag makes others. */
async function environment(check: Check): Promise<Env> {
  const env = await cargoEnv({ root: ROOT });
  const own = { ...env, CARGO_TARGET_DIR: join(env.CARGO_TARGET_DIR, `sanitize-${check}`) };
  // Files are read and written in these tests, which miri refuses by itself.
  if (check === 'miri') return { ...own, MIRIFLAGS: '-Zmiri-disable-isolation' };
  // The stable compiler has the sanitizer too, and lets nobody say so.
  const flags = { RUSTC_BOOTSTRAP: '1', RUSTFLAGS: '-Zsanitizer=address' };
  // Some tests ask for more memory than there is, and expect the refusal.
  const options = { ASAN_OPTIONS: 'allocator_may_return_null=1' };
  return { ...own, ...flags, ...options, CARGO_BUILD_TARGET: await hostTarget(env) };
}

/** True when every test of the check passed. */
async function passes(check: Check): Promise<boolean> {
  const missing = await missingFor(check, process.env);
  if (missing.length > 0) {
    console.error([`The check "${check}" cannot run here:`, ...missing].join('\n- '));
    return false;
  }
  const env = await environment(check);
  for (const args of OBSERVED[check]) {
    console.log(`${check}: cargo ${args.join(' ')}`);
    if ((await cargo(args, env)) !== 0) return false;
  }
  return true;
}

const { values } = parseArgs({ options: { only: { type: 'string' } } });
const chosen = CHECKS.filter((check) => values.only === undefined || values.only === check);
if (chosen.length === 0) console.error(`--only: one of ${CHECKS.join(', ')}`);
let passed = chosen.length > 0;
for (const check of chosen) passed = (await passes(check)) && passed;
process.exitCode = passed ? 0 : 1;
