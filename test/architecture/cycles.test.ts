import assert from 'node:assert/strict';
import { glob, readFile } from 'node:fs/promises';
import { dirname, join, normalize, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const SOURCES = ['*.ts', '{client,worker,schemas,workflows,activities,plugins,cli,tools}/**/*.ts'];

/** Relative targets of value imports: `import type` and `export type` do not exist at run time. */
export function valueImports(source: string): string[] {
  const statements = source.matchAll(/^(?:import|export)\s+(?!type\b)(?:[^;'"]*?from\s+)?'(\.[^']+)';/gms);
  return [...statements]
    .filter(([text]) => !/^(?:import|export)\s*\{\s*(?:type\s+[^,}]+,?\s*)+\}\s*from/s.test(text))
    .map((match) => match[1] ?? '');
}

async function graph(): Promise<Map<string, string[]>> {
  const edges = new Map<string, string[]>();
  for await (const file of glob(SOURCES, { cwd: root })) {
    const source = await readFile(join(root, file), 'utf8');
    const targets = valueImports(source).map((target) => normalize(join(dirname(file), target)));
    edges.set(
      file,
      targets.filter((target) => target.endsWith('.ts')),
    );
  }
  return edges;
}

function findCycle(edges: ReadonlyMap<string, readonly string[]>): readonly string[] | null {
  const finished = new Set<string>();
  const walk = (file: string, trail: readonly string[]): readonly string[] | null => {
    if (trail.includes(file)) return [...trail.slice(trail.indexOf(file)), file];
    if (finished.has(file)) return null;
    for (const target of edges.get(file) ?? []) {
      const cycle = walk(target, [...trail, file]);
      if (cycle !== null) return cycle;
    }
    finished.add(file);
    return null;
  };
  for (const file of edges.keys()) {
    const cycle = walk(file, []);
    if (cycle !== null) return cycle;
  }
  return null;
}

test('no value imports form a cycle', async () => {
  const edges = await graph();
  assert.ok(edges.size > 60, `only ${edges.size} files were read`);
  assert.equal(findCycle(edges)?.join(' → ') ?? null, null);
});

test('a cycle would be found', () => {
  const edges = new Map([
    ['a', ['b']],
    ['b', ['c']],
    ['c', ['a']],
  ]);
  assert.deepEqual(findCycle(edges), ['a', 'b', 'c', 'a']);
});

test('what workflow code reaches at run time touches neither Node nor validation libraries', async () => {
  const edges = await graph();
  const reached = new Set<string>();
  const visit = (file: string): void => {
    if (reached.has(file)) return;
    reached.add(file);
    for (const target of edges.get(file) ?? []) visit(target);
  };
  // The package's entry for hosts reaches the bundle's own.
  visit('workflow.ts');
  assert.ok(reached.has('workflows/index.ts'));
  for (const file of reached) {
    assert.match(file, /^(workflow\.ts$|workflows\/|schemas\/)/, `workflow code reaches ${file}`);
    const source = await readFile(join(root, file), 'utf8');
    const packages = [...source.matchAll(/^import\s+(?!type\b)[^;]*?from\s+'([^.'][^']*)';/gms)].map(
      (one) => one[1],
    );
    assert.deepEqual(
      packages.filter((name) => name !== '@temporalio/workflow'),
      [],
      relative(root, file),
    );
  }
});
