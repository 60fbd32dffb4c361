// The Temporal CLI built from source, for who prefers that to the released program (`ESCADA_TEMPORAL_FROM_SOURCE`).
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cached, findCached, keyOf } from './cache.mjs';
import { runOrFail } from './exec.mjs';
import { asStep } from './progress.mjs';

const MODULE_FOLDER = 'tools/temporal-server';
const CLI_PACKAGE = 'github.com/temporalio/cli';
/** Other versions to keep beside the current one; each is about 140 MB. */
const KEPT_BUILDS = 1;

/** @typedef {import('./exec.mjs').Env} Env */

/**
 * The CLI whose sources `tools/temporal-server` pins: its version and the key of its cache folder.
 * @param {string} root
 */
export async function sourceOfCli(root) {
  const folder = path.join(root, MODULE_FOLDER);
  const [mod, sum] = await Promise.all([
    readFile(path.join(folder, 'go.mod'), 'utf8'),
    readFile(path.join(folder, 'go.sum'), 'utf8'),
  ]);
  const version = /github\.com\/temporalio\/cli v(\d+\.\d+\.\d+)/.exec(mod)?.[1];
  if (version === undefined) throw new Error(`${MODULE_FOLDER}/go.mod does not require ${CLI_PACKAGE}`);
  return { version, key: keyOf([mod, sum, process.platform, process.arch]) };
}

/**
 * A CLI that was built from these sources before.
 * @param {{ root: string, env?: Env }} options
 * @returns {Promise<string | null>} Path of the program.
 */
export async function findBuiltProgram({ root, env = process.env }) {
  const { key } = await sourceOfCli(root);
  const folder = await findCached({ kind: 'temporal', key, env });
  return folder === null ? null : path.join(folder, 'temporal');
}

/**
 * @param {{ root: string, progress: import('./progress.mjs').Progress, env?: Env, signal?: AbortSignal }} options
 * @returns {Promise<string>} Path of the program.
 */
export async function ensureBuiltProgram({ root, progress, env = process.env, signal }) {
  const { key, version } = await sourceOfCli(root);
  const doing = `building the Temporal server and its Web UI from source (once; 5 to 10 minutes of two cores)`;
  const folder = await cached({
    kind: 'temporal',
    key,
    keep: KEPT_BUILDS,
    env,
    signal,
    onWait: (holder) => progress.line('server', `waiting for ${holder}, which is building it`),
    build: (room) =>
      asStep(
        progress,
        'server',
        doing,
        (step) => compile({ root, room, version, env, signal, onState: step.now }),
        (reported) => `built ${reported}`,
      ),
  });
  return path.join(folder, 'temporal');
}

/**
 * Go's caches for this build take 3.5 GB and are of no use afterwards: they live in the building folder and go
 * before it is published.
 * @param {{ root: string, room: string, version: string, env: Env, signal?: AbortSignal,
 *   onState: (state: string) => void }} options
 * @returns {Promise<string>} What the program says about its version.
 */
async function compile({ root, room, version, env, signal, onState }) {
  const caches = path.join(room, '.go');
  await mkdir(path.join(caches, 'tmp'), { recursive: true });
  const goEnv = {
    ...env,
    GOCACHE: path.join(caches, 'build'),
    GOMODCACHE: path.join(caches, 'mod'),
    GOTMPDIR: path.join(caches, 'tmp'),
    GOWORK: 'off',
    // The module cache is read-only by default and could then not be removed.
    GOFLAGS: `${env.GOFLAGS ?? ''} -modcacherw`.trim(),
  };
  const program = path.join(room, 'temporal');
  const flags = `-s -w -X ${CLI_PACKAGE}/internal/temporalcli.Version=${version}`;
  const args = [
    'build',
    // Names every package as it is compiled.
    '-v',
    '-trimpath',
    '-buildvcs=false',
    '-ldflags',
    flags,
    '-o',
    program,
    `${CLI_PACKAGE}/cmd/temporal`,
  ];
  let packages = 0;
  await runOrFail('go build', 'go', args, {
    cwd: path.join(root, MODULE_FOLDER),
    env: goEnv,
    signal,
    onText: (text) => {
      const lines = text.trimEnd().split('\n');
      packages += lines.length;
      onState(`${lines.at(-1) ?? ''} (package ${packages} of about 2,000)`);
    },
  });
  await rm(caches, { recursive: true, force: true });
  const reported = (await runOrFail('temporal --version', program, ['--version'], { env, signal })).trim();
  await writeFile(path.join(room, 'version.txt'), `${reported}\n`);
  return reported;
}
