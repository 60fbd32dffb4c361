/** What a check for 64-bit ARM needs of the machine, and how to get what is missing. */
import { readdir } from 'node:fs/promises';
import { runOrFail, findOnPath, type Env } from '../../runtime/bootstrap/exec.mjs';

/** The target of the check. */
export const TARGET = 'aarch64-unknown-linux-gnu';
/** Links and runs programs of the target elsewhere. */
export const LINKER = 'aarch64-linux-gnu-gcc';
export const EMULATOR = 'qemu-aarch64';

/** What keeps the library from being compiled: one sentence each, none when nothing does. */
export async function missingToCompile(env: Env): Promise<string[]> {
  const print = ['--print', 'target-libdir', '--target', TARGET];
  const folder = (await runOrFail('rustc --print target-libdir', 'rustc', print, { env })).trim();
  const files = await readdir(folder).catch(() => []);
  if (files.some((file) => file.startsWith('libstd-') && file.endsWith('.rlib'))) return [];
  return [
    `Rust's standard library for ${TARGET} is not in ${folder}: run \`rustup target add ${TARGET}\`, ` +
      'or put a rustc, cargo-clippy and clippy-driver that have it first on PATH.',
  ];
}

/** What keeps tests from running, beyond `missingToCompile`. */
export async function missingToRun(env: Env): Promise<string[]> {
  const missing: string[] = [];
  for (const [program, origin] of [
    [LINKER, 'gcc-aarch64-linux-gnu'],
    [EMULATOR, 'qemu-user'],
  ] as const) {
    if ((await findOnPath(program, env)) === null)
      missing.push(`${program} is not on PATH: on Debian and Ubuntu, \`apt-get install ${origin}\`.`);
  }
  return missing;
}
