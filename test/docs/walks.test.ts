/** The walks of CONTRIBUTING: every file is there, and is reached from the one before it in the way that is named. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { suite, test } from 'node:test';
import { ROOT } from '../whole/support/needs.ts';

interface Step {
  readonly file: string;
  /** `import`, or what the name is: a workflow, an activity, a contract's method, a message … */
  readonly way: string;
  readonly name: string;
  readonly from: string;
}

const source = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

/** Files that a module imports, types included; for Rust, the modules that it names. */
function importsOf(file: string): string[] {
  const found = [...source(file).matchAll(/(?:^|\s)(?:import|export)\s[^;'"]*?from\s+'(\.[^']+)'/g)];
  return found.map(([, target = '']) => normalize(join(dirname(file), target)));
}

const STEP = /^\d+\. `([^`]+)`(?:, (\w+)(?: `([^`]+)`)?(?: (?:in|of) `([^`]+)`)?)?: \S/;

/** Walks by their title. */
function readWalks(): Map<string, Step[]> {
  const page = source('CONTRIBUTING.md');
  const part = /^## Three walks.*?(?=^## )/ms.exec(page)?.[0] ?? '';
  const walks = new Map<string, Step[]>();
  let walk: Step[] = [];
  for (const line of part.replaceAll(/\n {2,}/g, ' ').split('\n')) {
    const title = /^\*\*(.+)\*\*$/.exec(line)?.[1];
    if (title !== undefined) walks.set(title, (walk = []));
    if (!/^\d/.test(line)) continue;
    const [, file = '', way = '', name = '', from] = STEP.exec(line) ?? [];
    assert.ok(file !== '', `not a step: ${line}`);
    walk.push({ file, way, name, from: from ?? walk.at(-1)?.file ?? '' });
  }
  return walks;
}

const holds = (file: string, name: string): boolean =>
  new RegExp(`(?<![\\w-])${name.replaceAll(/[.@]/g, '\\$&')}(?![\\w-])`).test(source(file));

/** Why a step does not lead here; null when it does. */
function objectionTo({ file, way, name, from }: Step, earlier: readonly string[]): string | null {
  if (!existsSync(join(ROOT, file))) return `${file} is not there`;
  if (earlier.length === 0) return null;
  if (!earlier.includes(from)) return `${file}: ${from} is no earlier file of the walk`;
  if (way === 'import') return importsOf(from).includes(file) ? null : `${from} does not import ${file}`;
  if (way === '' || name === '') return `${file} does not say how it is reached`;
  const near = [from, ...importsOf(from)].filter((one) => existsSync(join(ROOT, one)));
  if (!near.some((one) => holds(one, name))) return `${from} does not name "${name}"`;
  return holds(file, name) || file.endsWith(`/${name}`) ? null : `${file} does not name "${name}"`;
}

suite('walks through the code', () => {
  const walks = readWalks();

  test('there are three', () => {
    assert.equal(walks.size, 3);
  });

  for (const [title, steps] of walks) {
    test(title, (t) => {
      t.diagnostic(`${title}: ${steps.length} files`);
      const objections = steps.map((step, at) =>
        objectionTo(
          step,
          steps.slice(0, at).map(({ file }) => file),
        ),
      );
      assert.deepEqual(
        objections.filter((objection) => objection !== null),
        [],
      );
    });
  }

  test('a step that leads nowhere is refused', () => {
    const step = { file: 'client.ts', way: 'import', name: '', from: 'cli/clean.ts' };
    assert.equal(objectionTo(step, ['cli/clean.ts']), 'cli/clean.ts does not import client.ts');
    assert.equal(objectionTo({ ...step, file: 'absent.ts' }, []), 'absent.ts is not there');
    const named = { ...step, way: 'activity', name: 'noSuchActivity' };
    assert.equal(objectionTo(named, ['cli/clean.ts']), 'cli/clean.ts does not name "noSuchActivity"');
  });
});
