/**
 * `npm run check:arm`: compiles and lints the CPU back end for 64-bit ARM on a machine of any kind; with `-- --run` also
 * runs its tests, emulated. Not part of `npm test`: few machines have the target. Ends with 1 and says what is missing
 * where something is.
 */
import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { cargoEnv } from '../../runtime/bootstrap/cargo-target.mjs';
import type { Env } from '../../runtime/bootstrap/exec.mjs';
import { ROOT } from '../reference/programs.ts';
import { EMULATOR, LINKER, TARGET, missingToCompile, missingToRun } from './needs.ts';

const CRATE = ['--locked', '--target', TARGET, '-p', 'escada-engine-cpu'];
/** Where Debian's cross compiler keeps the target's C library; qemu looks for the loader there. */
const TARGET_ROOT = '/usr/aarch64-linux-gnu';

/** Runs cargo with its output shown and returns its exit code. */
async function cargo(args: string[], env: Env): Promise<number> {
  const child = spawn('cargo', args, { cwd: ROOT, env, stdio: 'inherit' });
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
}

/** The exit code of the whole check. */
async function check(run: boolean): Promise<number> {
  const missing = await missingToCompile(process.env);
  if (run) missing.push(...(await missingToRun(process.env)));
  if (missing.length > 0) {
    console.error(['The check for ARM cannot run here:', ...missing].join('\n- '));
    return 1;
  }
  const env = await cargoEnv({ root: ROOT });
  const linted = await cargo(['clippy', ...CRATE, '--lib', '--', '-D', 'warnings'], env);
  if (linted !== 0 || !run) return linted;
  return await cargo(['test', ...CRATE], {
    QEMU_LD_PREFIX: TARGET_ROOT,
    ...env,
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER: LINKER,
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER: EMULATOR,
  });
}

const { values } = parseArgs({ options: { run: { type: 'boolean', default: false } } });
process.exitCode = await check(values.run);
