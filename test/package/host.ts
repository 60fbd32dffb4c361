/** A project elsewhere on the disk that installs the packed package and knows nothing of the clone. */
import { spawn } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { ROOT } from '../whole/support/needs.ts';
import { disown, own } from '../whole/support/processes.ts';

export interface Ran {
  readonly code: number | null;
  readonly output: string;
}

/** The environment without what an outer `npm test` leaves in it: it would send an inner npm to the clone. */
export function cleanEnv(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const inherited = /^npm_(package|lifecycle|command|execpath|config_(local|global)?_?prefix)|^INIT_CWD$/;
  const kept = Object.entries(env).filter(([name]) => !inherited.test(name));
  const path = (env['PATH'] ?? '').split(delimiter).filter((folder) => !folder.startsWith(ROOT));
  // The Node that runs this test, and nothing else of the clone's tools.
  return { ...Object.fromEntries(kept), PATH: [dirname(process.execPath), ...path].join(delimiter) };
}

/** Runs a program to its end. */
export async function runIn(
  cwd: string,
  env: NodeJS.ProcessEnv,
  [program = '', ...args]: readonly string[],
): Promise<Ran> {
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  if (child.pid !== undefined) own(child.pid);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece) => (output += String(piece)));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve).once('error', reject);
  });
  if (child.pid !== undefined) disown(child.pid);
  return { code, output };
}

/** Runs a program that must succeed. */
export async function mustRun(
  cwd: string,
  env: NodeJS.ProcessEnv,
  command: readonly string[],
): Promise<string> {
  const { code, output } = await runIn(cwd, env, command);
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}:\n${output}`);
  return output;
}

/** Packs the clone as `npm publish` would; gives the tarball's path. */
export async function packInto(folder: string, env: NodeJS.ProcessEnv): Promise<string> {
  await mkdir(folder, { recursive: true });
  await mustRun(ROOT, env, ['npm', 'run', 'pack', '--', '--pack-destination', folder, '--loglevel=error']);
  const name = (await readdir(folder)).find((file) => file.endsWith('.tgz'));
  if (name === undefined) throw new Error('npm pack left no tarball');
  return join(folder, name);
}

/** Writes the files of the project, by name. */
export async function writeFiles(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
}

/** The code blocks of a Markdown text that name a file in their first line, by that name. */
export function namedBlocks(markdown: string): Record<string, string> {
  const blocks = markdown.matchAll(/^```ts[^\n]*\n(\/\/ ([\w-]+\.ts)\n.*?)^```$/gms);
  return Object.fromEntries([...blocks].map(([, text = '', name = '']) => [name, text]));
}
