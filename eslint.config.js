// Lint rules. The first half is common typed linting; the second half holds the arrows between folders:
// which part of the house may import which. The table is the rule; the code under it only reads the table.
import path from 'node:path';
import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const root = import.meta.dirname;

/** Files of schemas/ that import no zod: workflow code may use their values. */
const PURE_SCHEMAS = /^schemas\/(.*\/)?(constants|error-codes|flowcharts|references)\.ts$/;

/**
 * One row per zone; the first row whose `files` matches a file applies to it.
 * `values`: places whose values may be imported; `types`: places from which types may also come.
 * A place matches when the imported file's path starts with it. `packages`: npm packages whose values may be
 * imported (undefined = any); `node`: whether Node's built-in modules may be.
 */
const ZONES = [
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
    values: [/^activities\//, /^schemas\//, /^plugins\/(api|host)\//],
    types: [],
    node: true,
  },
];

/** The path, relative to the repository root, that a relative specifier names; null for packages. */
function targetOf(fileName, specifier) {
  if (!specifier.startsWith('.')) return null;
  return path.relative(root, path.resolve(path.dirname(fileName), specifier)).replaceAll('\\', '/');
}

/** Why this import is not allowed, or null when it is. */
function objection(zone, match, specifier, target, typeOnly) {
  if (target === null) {
    if (typeOnly) return null;
    if (specifier.startsWith('node:')) return zone.node ? null : 'Node built-ins may not be used here';
    const name = specifier
      .split('/')
      .slice(0, specifier.startsWith('@') ? 2 : 1)
      .join('/');
    return !zone.packages || zone.packages.includes(name) ? null : `package ${name} may not be used here`;
  }
  const places = [...zone.values, ...(typeOnly ? zone.types : [])];
  if (zone.own && target.startsWith(`plugins/${match[1]}/`)) return null;
  if (places.some((place) => place.test(target))) return null;
  const hint = zone.types.some((place) => place.test(target)) ? ' (its types may be: use import type)' : '';
  return `${target} may not be imported from here${hint}`;
}

/** ESLint rule: every import follows the arrows in ZONES. */
const arrows = {
  meta: { type: 'problem', schema: [], messages: { arrow: 'Against the arrows of the house: {{why}}.' } },
  create(context) {
    const file = path.relative(root, context.filename).replaceAll('\\', '/');
    const zone = ZONES.find((candidate) => candidate.files.test(file));
    if (!zone) return {};
    const match = zone.files.exec(file);
    const check = (node) => {
      if (typeof node.source?.value !== 'string') return;
      const typeOnly = node.importKind === 'type' || node.exportKind === 'type';
      const target = targetOf(context.filename, node.source.value);
      const why = objection(zone, match, node.source.value, target, typeOnly);
      if (why) context.report({ node, messageId: 'arrow', data: { why } });
    };
    return {
      ImportDeclaration: check,
      ExportNamedDeclaration: check,
      ExportAllDeclaration: check,
      ImportExpression: check,
    };
  },
};

const typed = {
  '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
  '@typescript-eslint/no-explicit-any': 'error',
  '@typescript-eslint/no-floating-promises': [
    'error',
    // node:test collects its own promises; awaiting each call would only add noise.
    {
      allowForKnownSafeCalls: [
        { from: 'package', package: 'node:test', name: ['test', 'it', 'suite', 'describe'] },
      ],
    },
  ],
  '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
  '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
  '@typescript-eslint/switch-exhaustiveness-check': 'error',
  // An async function without await is how a synchronous implementation fulfils an asynchronous contract.
  '@typescript-eslint/require-await': 'off',
  eqeqeq: ['error', 'always', { null: 'ignore' }],
  'no-console': 'error',
};

export default defineConfig(
  {
    ignores: ['node_modules/', 'target/', 'dist/', 'reports/', '.escada/', '**/*.node', 'schemas/generated/'],
  },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: root } },
    plugins: { escada: { rules: { arrows } } },
    rules: { ...typed, 'escada/arrows': 'error' },
  },
  {
    // Programs that talk to a terminal, and the set-up that runs before any package is installed.
    files: ['cli/**', 'tools/**', 'bench/**', 'examples/**', 'worker.ts'],
    rules: { 'no-console': 'off' },
  },
  {
    // In JavaScript a cast is a comment on parentheses, which these rules do not see; the compiler does.
    files: ['**/*.{js,mjs}'],
    languageOptions: { globals: nodeGlobals() },
    rules: {
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
    },
  },
  { files: ['eslint.config.js'], ...tseslint.configs.disableTypeChecked },
);

/** The globals that plain JavaScript files use; TypeScript files are checked by the compiler instead. */
function nodeGlobals() {
  const names = [
    'process',
    'console',
    'setTimeout',
    'clearTimeout',
    'setInterval',
    'clearInterval',
    'URL',
    'Buffer',
  ];
  return Object.fromEntries(
    [...names, 'AbortController', 'AbortSignal', 'performance'].map((n) => [n, 'readonly']),
  );
}
