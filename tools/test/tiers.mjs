import { readdir } from 'node:fs/promises';
import path from 'node:path';

/**
 * @typedef {object} Tier
 * @property {number} number
 * @property {string} name
 * @property {string[]} prefixes Test files of this tier, by path; the tier without any takes the rest.
 * @property {number} timeoutMs For one test file.
 * @property {boolean} parallel Whether its files may run side by side.
 */

/** The tiers in the order they run. Tier 0 has no test files: it is formatting, lint and types. @type {Tier[]} */
export const TIERS = [
  { number: 0, name: 'format, lint, types', prefixes: [], timeoutMs: 0, parallel: false },
  { number: 1, name: 'pure functions and schemas', prefixes: [], timeoutMs: 300_000, parallel: true },
  // Workflows with scripted steps mostly wait for their server: side by side they take little more than half the time.
  {
    number: 2,
    name: 'activities, workflows with scripted steps',
    prefixes: [
      'test/activities/',
      'test/core/',
      'test/plugins/sdk/',
      'test/plugins/steps/',
      'test/workflows/durable/',
      'test/runtime/hub/',
    ],
    timeoutMs: 300_000,
    parallel: true,
  },
  {
    number: 3,
    name: 'architecture and replay',
    prefixes: ['test/architecture/', 'test/histories/'],
    timeoutMs: 300_000,
    parallel: true,
  },
  // The engine uses every core by itself, and a whole run has deadlines that a neighbour could break.
  {
    number: 4,
    name: 'native',
    prefixes: ['test/plugins/nf4-lora/', 'test/fuzz/'],
    timeoutMs: 900_000,
    parallel: false,
  },
  {
    number: 5,
    name: 'whole runs',
    prefixes: ['test/package/', 'test/whole/', 'test/chaos/', 'test/docs/served/'],
    timeoutMs: 1_800_000,
    parallel: false,
  },
  { number: 6, name: 'browser', prefixes: ['test/browser/'], timeoutMs: 300_000, parallel: false },
];

/** The tier that needs a browser. */
export const BROWSER_TIER = 6;

/**
 * The tier of a test file.
 * @param {string} file Relative to the repository root, with forward slashes.
 * @returns {number}
 */
export function tierOf(file) {
  return TIERS.find(({ prefixes }) => prefixes.some((prefix) => file.startsWith(prefix)))?.number ?? 1;
}

/**
 * Every `*.test.ts` under `test/`, relative to the root, sorted.
 * @param {string} root
 * @param {string} [folder]
 * @returns {Promise<string[]>}
 */
export async function listTestFiles(root, folder = 'test') {
  const files = [];
  for (const entry of await readdir(path.join(root, folder), { withFileTypes: true })) {
    const relative = `${folder}/${entry.name}`;
    if (entry.isDirectory()) files.push(...(await listTestFiles(root, relative)));
    else if (entry.name.endsWith('.test.ts')) files.push(relative);
  }
  return files.sort();
}
