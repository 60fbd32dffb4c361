/** node-llama-cpp, llama.cpp prebuilt for Node: fetched once into the user's cache. A development tool only. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { cacheFolder } from '../../../runtime/bootstrap/cache-folder.mjs';
import { runOrFail } from '../../../runtime/bootstrap/exec.mjs';

/** Carries llama.cpp v0.5.0. */
const VERSION = '3.22.1';

/** Prebuilt libraries for CPUs, by Node's platform and architecture. */
const PREBUILT: Readonly<Record<string, string>> = {
  'linux x64': 'linux-x64',
  'linux arm64': 'linux-arm64',
  'darwin x64': 'mac-x64',
  'darwin arm64': 'mac-arm64-metal',
  'win32 x64': 'win-x64',
};

/** A folder with the client in its node_modules. Throws where there is no prebuilt llama.cpp, or npm fails. */
export async function llamaClient(say: (line: string) => void): Promise<string> {
  const folder = join(`${cacheFolder()}-reference`, 'llama-client');
  if ((await versionIn(folder)) === VERSION) return folder;
  const prebuilt = PREBUILT[`${process.platform} ${process.arch}`];
  if (prebuilt === undefined) {
    throw new Error(`node-llama-cpp has no prebuilt llama.cpp for ${process.platform} ${process.arch}`);
  }
  say(`fetching node-llama-cpp ${VERSION} into ${folder} (once)`);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), '{ "private": true }\n');
  const packages = ['node-llama-cpp', `@node-llama-cpp/${prebuilt}`].map((name) => `${name}@${VERSION}`);
  // Its optional packages are the same for every other platform and graphics card.
  const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--omit=optional', ...packages];
  await runOrFail('npm install', 'npm', args, { cwd: folder });
  return folder;
}

async function versionIn(folder: string): Promise<string | undefined> {
  const manifest = join(folder, 'node_modules/node-llama-cpp/package.json');
  const text = await readFile(manifest, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}
