import assert from 'node:assert/strict';
import { glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { objectionTo, ZONES } from '../../tools/architecture/import-rules.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Every source, also of folders that are new: each needs a row in the table. */
const SOURCES = ['*.ts', '*/**/*.{ts,mjs}'];
const exclude = (name: string): boolean =>
  /^(node_modules|target|dist|reports|test-output|\.|fixtures)/.test(name);

/** Files that only put parts together, and how long one may be. */
const COMPOSITION_ROOTS = [
  'client',
  'index',
  'plugin',
  'plugin-api',
  'plugins',
  'testing',
  'worker',
  'workflow',
];
const MAX_ROOT_LINES = 120;

interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
}

/** Every static import and re-export, and every dynamic import of a constant. */
function importsOf(source: string): Import[] {
  const found: Import[] = [];
  for (const match of source.matchAll(/^(?:import|export)\s+(type\b)?(?:[^;'"]*?from\s+)?'([^']+)';/gms)) {
    found.push({ specifier: match[2] ?? '', typeOnly: match[1] !== undefined });
  }
  for (const match of source.matchAll(/(?<!\{)\bimport\('([^']+)'\)(?!\.)/g))
    found.push({ specifier: match[1] ?? '', typeOnly: false });
  return found;
}

test('every file has its row in the table, and every import of the tree follows it', async () => {
  const objections: string[] = [];
  let read = 0;
  for await (const file of glob(SOURCES, { cwd: root, exclude })) {
    if (!ZONES.some(({ files }) => files.test(file))) objections.push(`${file}: its folder has no row`);
    for (const { specifier, typeOnly } of importsOf(await readFile(join(root, file), 'utf8'))) {
      read += 1;
      const why = objectionTo(file, specifier, typeOnly);
      if (why !== null) objections.push(`${file}: ${why}`);
    }
  }
  assert.ok(read > 1500, `only ${read} imports were read`);
  assert.deepEqual(objections, []);
});

test('composition roots hold no logic to speak of, and there are no others', async () => {
  const roots: string[] = [];
  for await (const file of glob('*.ts', { cwd: root })) {
    roots.push(file.replace(/\.ts$/, ''));
    const lines = (await readFile(join(root, file), 'utf8')).split('\n').length - 1;
    assert.ok(lines <= MAX_ROOT_LINES, `${file} has ${lines} lines; at most ${MAX_ROOT_LINES}`);
  }
  assert.deepEqual(roots.sort(), COMPOSITION_ROOTS);
});

test('what the table forbids is objected to', () => {
  const forbidden: [string, string, boolean][] = [
    ['workflows/adapt/x.ts', 'node:fs', false],
    ['workflows/adapt/x.ts', 'zod', false],
    ['workflows/adapt/x.ts', '../../activities/step-activities.ts', false],
    ['workflows/adapt/x.ts', '../../schemas/spec/profile.ts', false],
    ['workflow.ts', './activities/control-activities.ts', false],
    ['index.ts', './plugins.ts', false],
    ['index.ts', '@temporalio/client', false],
    ['client.ts', '@temporalio/worker', false],
    ['cli/x.ts', '../plugins/nf4-lora/index.ts', false],
    ['core/x.ts', '@temporalio/activity', false],
    ['core/x.ts', '../plugins/steps/index.ts', true],
    ['plugins/sdk/x.ts', '../../core/store/file-store.ts', true],
    ['runtime/bootstrap/x.mjs', '../settings.ts', false],
    ['client/x.ts', '../worker/roles.ts', false],
    ['plugin.ts', './plugins/nf4-lora/index.ts', false],
    ['plugins/rungs/x.ts', '../curation/index.ts', false],
    ['plugins/rungs/x.ts', '../curation/index.ts', true],
    ['plugins/sdk/contracts/x.ts', '../../host/registry.ts', true],
    ['plugins/host/x.ts', '../nf4-lora/index.ts', false],
    ['activities/x.ts', '../plugins/nf4-lora/index.ts', false],
    ['schemas/spec/x.ts', '../../activities/step-activities.ts', true],
  ];
  for (const [file, specifier, typeOnly] of forbidden) {
    assert.notEqual(objectionTo(file, specifier, typeOnly), null, `${file} imports ${specifier}`);
  }
});
