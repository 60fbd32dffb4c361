/** What the checks of unsafe code need of the machine, and how to get what is missing. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runOrFail, type Env } from '../../runtime/bootstrap/exec.mjs';

/** One kind of check. */
export type Check = 'address' | 'miri';

/** The compiler's own target. Naming one keeps build scripts free of instrumentation. Throws without rustc. */
export async function hostTarget(env: Env): Promise<string> {
  const version = await runOrFail('rustc -vV', 'rustc', ['-vV'], { env });
  const host = /^host: (\S+)$/m.exec(version)?.[1];
  if (host === undefined) throw new Error('rustc -vV names no host');
  return host;
}

/** What keeps a check from running: one sentence each, none when nothing does. */
export async function missingFor(check: Check, env: Env): Promise<string[]> {
  return check === 'address' ? await missingForAddress(env) : await missingForMiri(env);
}

async function missingForAddress(env: Env): Promise<string[]> {
  const target = await hostTarget(env);
  const print = ['--print', 'target-libdir', '--target', target];
  const folder = (await runOrFail('rustc --print target-libdir', 'rustc', print, { env })).trim();
  const files = await listed(folder);
  if (files.some((file) => file.includes('_rt.asan'))) return [];
  return [`The compiler has no address sanitizer for ${target} (none in ${folder}).`];
}

async function missingForMiri(env: Env): Promise<string[]> {
  const missing: string[] = [];
  const sysroot = ['+nightly', '--print', 'sysroot'];
  const folder = await runOrFail('rustc +nightly', 'rustc', sysroot, { env }).catch(() => null);
  if (folder === null) return ['There is no nightly compiler: run `rustup toolchain install nightly`.'];
  const programs = await listed(join(folder.trim(), 'bin'));
  if (!programs.includes('miri')) missing.push('miri is missing: run `rustup +nightly component add miri`.');
  const sources = await listed(join(folder.trim(), 'lib/rustlib/src/rust/library'));
  if (sources.length === 0)
    missing.push("The standard library's sources are missing: run `rustup +nightly component add rust-src`.");
  return missing;
}

/** Names in a folder; none where there is no such folder. */
async function listed(folder: string): Promise<string[]> {
  return await readdir(folder).catch((): string[] => []);
}
