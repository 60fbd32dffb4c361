// Which part of the house may import which. The table is the rule; the code under it only reads the table. ESLint
// reports what breaks it while one writes, and a test reads every import of the tree.
import path from 'node:path';

/** Files of schemas/ that import no zod: workflow code may use their values. */
const PURE_SCHEMAS =
  /^schemas\/(.*\/)?(constants|error-codes|flowcharts|references|spec-bounds|plain-text)\.ts$/;

/** Whether a process still runs: set-up asks before anything is installed, the store and the workers ask the same. */
const PROCESS_IDENTITY = /^tools\/bootstrap\/lib\/process-identity\.mjs$/;

/**
 * @typedef {{ files: RegExp, values: RegExp[], types: RegExp[], packages?: string[], node?: boolean, own?: boolean }} Zone
 */

/**
 * One row per zone; the first row whose `files` matches a file applies to it.
 * `values`: places whose values may be imported; `types`: places from which types may also come.
 * A place matches when the imported file's path starts with it. `packages`: npm packages whose values may be
 * imported (undefined = any); `node`: whether Node's built-in modules may be.
 * @type {Zone[]}
 */
export const ZONES = [
  // The entries of the npm package. What a host bundles, and what it only reads types from, must load next to nothing.
  { files: /^workflow\.ts$/, values: [/^workflows\/index\.ts$/], types: [], packages: [], node: false },
  { files: /^plugin-api\.ts$/, values: [/^plugins\/api\//], types: [], packages: [], node: false },
  {
    files: /^index\.ts$/,
    values: [/^schemas\//, /^plugins\/api\//, /^activities\/shared\/settings\.ts$/],
    types: [],
    packages: [],
    node: false,
  },
  {
    // Compiles specs before it sends them, with the same code and plugins as the run will.
    files: /^client\/start\.ts$/,
    values: [/^client\//, /^activities\/(compile|shared)\//, /^schemas\//, /^plugins\.ts$/],
    types: [/^plugins\/host\//],
    packages: ['@temporalio/client'],
    node: true,
  },
  {
    files: /^client\//,
    values: [/^client\//, /^schemas\//, /^plugins\/api\//],
    types: [],
    packages: ['@temporalio/client', '@temporalio/common', '@temporalio/envconfig'],
    node: false,
  },
  {
    files: /^client\.ts$/,
    values: [/^client\//, /^activities\//, /^schemas\//, /^plugins\.ts$/],
    types: [/^plugins\/(api|host)\//],
    packages: ['@temporalio/client'],
    node: true,
  },
  {
    files: /^worker\//,
    values: [/^worker\//, /^activities\//, /^schemas\//, /^plugins\/(api|host)\//, PROCESS_IDENTITY],
    types: [],
    node: true,
  },
  {
    // Asks the server which runs are open before it removes what old ones left.
    files: /^(worker|plugin)\.ts$/,
    values: [
      /^worker\//,
      /^activities\//,
      /^schemas\//,
      /^client\/open-runs\.ts$/,
      /^plugins\.ts$/,
      /^plugins\/(api|host)\//,
    ],
    types: [],
    node: true,
  },
  {
    files: PURE_SCHEMAS,
    values: [PURE_SCHEMAS],
    types: [/^schemas\//],
    packages: [],
    node: false,
  },
  { files: /^schemas\//, values: [/^schemas\//], types: [], packages: ['zod'], node: false },
  {
    files: /^workflows\//,
    values: [/^workflows\//, PURE_SCHEMAS],
    types: [/^schemas\//, /^plugins\/api\//, /^activities\//, /^plugins\/[^/]+\/contract\.ts$/],
    packages: ['@temporalio/workflow', '@temporalio/common'],
    node: false,
  },
  {
    files: /^plugins\/api\//,
    values: [/^plugins\/api\//, /^schemas\//],
    types: [],
    packages: [],
    node: false,
  },
  {
    files: /^plugins\/host\//,
    values: [/^plugins\/(host|api)\//, /^schemas\//],
    types: [],
    node: true,
  },
  {
    files: /^plugins\/testing\//,
    values: [/^plugins\/(testing|host|api)\//, /^schemas\//, /^activities\/shared\//],
    types: [],
    node: true,
  },
  {
    files: /^plugins\/([^/]+)\/contract\.ts$/,
    values: [/^schemas\/(.*\/)?constants\.ts$/],
    types: [/^schemas\//, /^plugins\/api\//],
    packages: [],
    node: false,
    own: true,
  },
  {
    files: /^plugins\/([^/]+)\//,
    values: [/^plugins\/api\//, /^schemas\//, /^activities\/shared\//],
    types: [],
    node: true,
    own: true,
  },
  {
    files: /^activities\//,
    values: [/^activities\//, /^schemas\//, /^plugins\/(api|host)\//, PROCESS_IDENTITY],
    types: [],
    node: true,
  },
];

/**
 * Why a file may not import this, or null when it may.
 * @param {string} file Importing file, relative to the repository root, with forward slashes.
 * @param {string} specifier What the import names: a package or a relative path.
 * @param {boolean} typeOnly Whether only types are imported.
 * @returns {string | null}
 */
export function objectionTo(file, specifier, typeOnly) {
  const zone = ZONES.find((candidate) => candidate.files.test(file));
  if (zone === undefined) return null;
  if (!specifier.startsWith('.')) return typeOnly ? null : objectionToPackage(zone, specifier);
  const target = path.posix.join(path.posix.dirname(file), specifier);
  const plugin = zone.files.exec(file)?.[1];
  if (zone.own && target.startsWith(`plugins/${plugin}/`)) return null;
  const places = [...zone.values, ...(typeOnly ? zone.types : [])];
  if (places.some((place) => place.test(target))) return null;
  const hint = zone.types.some((place) => place.test(target)) ? ' (its types may be: use import type)' : '';
  return `${target} may not be imported from here${hint}`;
}

/**
 * @param {Zone} zone
 * @param {string} specifier
 * @returns {string | null}
 */
function objectionToPackage(zone, specifier) {
  if (specifier.startsWith('node:')) return zone.node ? null : 'Node built-ins may not be used here';
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  return !zone.packages || zone.packages.includes(name) ? null : `package ${name} may not be used here`;
}
