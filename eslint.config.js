// Lint rules: common typed linting, and which folder may import which (tools/architecture/import-rules.mjs).
import path from 'node:path';
import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';
import { objectionTo } from './tools/architecture/import-rules.mjs';

const root = import.meta.dirname;

/** ESLint rule: every import follows the import rules. */
const importRules = {
  meta: { type: 'problem', schema: [], messages: { against: 'Against the import rules: {{why}}.' } },
  create(context) {
    const file = path.relative(root, context.filename).replaceAll('\\', '/');
    const check = (node) => {
      if (typeof node.source?.value !== 'string') return;
      const typeOnly = node.importKind === 'type' || node.exportKind === 'type';
      const why = objectionTo(file, node.source.value, typeOnly);
      if (why) context.report({ node, messageId: 'against', data: { why } });
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
    plugins: { escada: { rules: { 'import-rules': importRules } } },
    rules: { ...typed, 'escada/import-rules': 'error' },
  },
  {
    // Programs that talk to a terminal, and the set-up that runs before any package is installed.
    files: ['cli/**', 'tools/**', 'bench/**', 'examples/**', 'worker.ts'],
    rules: { 'no-console': 'off' },
  },
  {
    // A package of its own for whoever copies it; here its imports of the product lead to the sources.
    files: ['examples/plugin/**/*.ts'],
    languageOptions: { parserOptions: { projectService: false, project: './tsconfig.json' } },
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
