// Which folder may import which. The table is the rule; the code under it only reads the table. ESLint reports what
// breaks it while one writes, and a test reads every import of the tree.
import path from 'node:path';

/** Files of schemas/ that import no zod: workflow code may use their values. */
const PURE_SCHEMAS =
  /^schemas\/(.*\/)?(constants|error-codes|hints|references|plan-size|spec-bounds|plain-text|queues)\.ts$/;

/** Whether a process still runs, and where the cache is: set-up asks before anything is installed, the product the same. */
const SET_UP_FACTS = /^runtime\/bootstrap\/(process-identity|cache-folder)\.mjs$/;

const SCHEMAS = /^schemas\//;
const SDK = /^plugins\/sdk\//;
const CONTRACTS = /^plugins\/sdk\/contracts\//;
const HOST = /^plugins\/host\//;
const CORE = /^core\//;
const ACTIVITIES = /^activities\//;
const CLIENT = /^client(\/|\.ts$)/;
const WORKER = /^worker(\/|\.ts$)/;
const RUNTIME = /^runtime\//;
const PLUGIN_LIST = /^plugins\.ts$/;

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
  {
    files: /^plugin-api\.ts$/,
    values: [SDK, SCHEMAS],
    types: [],
    packages: [],
    node: false,
  },
  {
    // A bench for authors of plugins: their plugin among the built-in ones, a store on the disk, steps as a worker runs them.
    files: /^testing\.ts$/,
    values: [SDK, CORE, HOST, SCHEMAS, PLUGIN_LIST, /^activities\/services\.ts$/],
    types: [],
    packages: [],
    node: true,
  },
  {
    files: /^index\.ts$/,
    values: [SCHEMAS, CONTRACTS, /^runtime\/settings\.ts$/],
    types: [],
    packages: [],
    node: false,
  },
  {
    // Asks the server which runs are open before it removes what old ones left.
    files: /^(worker|plugin)\.ts$/,
    values: [WORKER, ACTIVITIES, CORE, RUNTIME, SCHEMAS, SDK, HOST, PLUGIN_LIST, /^client\/open-runs\.ts$/],
    types: [],
    node: true,
  },
  {
    files: /^client\.ts$/,
    values: [CLIENT, CORE, /^runtime\/settings\.ts$/, SCHEMAS, PLUGIN_LIST],
    types: [SDK, HOST],
    packages: ['@temporalio/client'],
    node: true,
  },
  {
    // The built-in plugins, and the packages that the configuration file lists.
    files: PLUGIN_LIST,
    values: [/^plugins\/[^/]+\/index\.ts$/, /^plugins\/host\//, /^runtime\/project-config\.ts$/],
    types: [SDK, SCHEMAS],
    packages: [],
    node: false,
  },

  { files: PURE_SCHEMAS, values: [PURE_SCHEMAS], types: [SCHEMAS], packages: [], node: false },
  { files: SCHEMAS, values: [SCHEMAS], types: [], packages: ['zod'], node: false },
  {
    files: /^workflows\//,
    values: [/^workflows\//, PURE_SCHEMAS],
    types: [SCHEMAS, CONTRACTS, ACTIVITIES, /^plugins\/[^/]+\/contract\.ts$/],
    packages: ['@temporalio/workflow', '@temporalio/common'],
    node: false,
  },

  { files: CONTRACTS, values: [CONTRACTS, SCHEMAS], types: [], packages: [], node: false },
  {
    files: /^plugins\/sdk\/testing\//,
    values: [SDK, HOST, SCHEMAS],
    types: [],
    packages: ['zod'],
    node: true,
  },
  {
    // Datasets are Parquet files.
    files: /^plugins\/sdk\/dataset\//,
    values: [SDK, SCHEMAS],
    types: [],
    packages: ['zod', '@duckdb/node-api', '@uwdata/flechette', 'parquet-wasm'],
    node: true,
  },
  { files: SDK, values: [SDK, SCHEMAS, SET_UP_FACTS], types: [], packages: ['zod', 'ajv'], node: true },
  { files: HOST, values: [HOST, SDK, SCHEMAS], types: [], packages: ['zod'], node: true },
  {
    files: /^plugins\/([^/]+)\/contract\.ts$/,
    values: [/^schemas\/(.*\/)?constants\.ts$/],
    types: [SCHEMAS, CONTRACTS],
    packages: [],
    node: false,
    own: true,
  },
  {
    // The product's own step kinds use its statistics.
    files: /^plugins\/(steps)\//,
    values: [SDK, SCHEMAS, CORE],
    types: [],
    node: true,
    own: true,
  },
  { files: /^plugins\/([^/]+)\//, values: [SDK, SCHEMAS], types: [], node: true, own: true },

  {
    files: CORE,
    values: [CORE, SDK, SCHEMAS, SET_UP_FACTS],
    types: [HOST],
    packages: ['zod', 'vega', 'vega-lite'],
    node: true,
  },
  {
    files: ACTIVITIES,
    values: [ACTIVITIES, CORE, SDK, SCHEMAS],
    types: [HOST],
    packages: ['@temporalio/activity', '@temporalio/common', 'zod'],
    node: true,
  },
  {
    // Compiles specs before it sends them, with the same code and plugins as the run will.
    files: /^client\//,
    values: [/^client\//, CORE, SDK, SCHEMAS, PLUGIN_LIST, /^runtime\/settings\.ts$/],
    types: [HOST],
    packages: ['@temporalio/client', '@temporalio/common', '@temporalio/envconfig'],
    node: true,
  },
  {
    files: /^worker\//,
    values: [/^worker\//, ACTIVITIES, CORE, RUNTIME, SDK, SCHEMAS, HOST],
    types: [],
    packages: ['@temporalio/worker', '@temporalio/client', '@temporalio/envconfig'],
    node: true,
  },

  // Plain JavaScript that runs before anything is installed.
  { files: /^runtime\/bootstrap\//, values: [/^runtime\/bootstrap\//], types: [], packages: [], node: true },
  { files: RUNTIME, values: [RUNTIME, SDK, SCHEMAS], types: [], packages: ['zod'], node: true },
  {
    // Never a plugin by its path: what the command knows of one is in the plugin list.
    files: /^cli\//,
    values: [/^cli\//, CLIENT, WORKER, CORE, RUNTIME, SDK, SCHEMAS, HOST, PLUGIN_LIST],
    types: [],
    packages: ['commander', '@temporalio/client', '@temporalio/common'],
    node: true,
  },
  {
    // A package of its own: the product is to it what it is to every plugin author.
    files: /^examples\/plugin\//,
    values: [/^examples\/plugin\//],
    types: [],
    packages: ['escada', 'escada-plugin-nearest-row', 'zod'],
    node: true,
  },
  // Data and the scripts that made it; nothing of the product but what a user of the package has.
  { files: /^examples\//, values: [/^examples\//], types: [], packages: [], node: true },
  // Development only: may look at everything, and nothing above may look at it.
  { files: /^(test|tools|bench)\//, values: [/^/], types: [], node: true },
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
