/** Pages that are written from definitions are up to date, and say something about every field and option. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { PAGES } from '../../tools/schemas/pages.ts';
import { ROOT } from '../whole/support/needs.ts';

suite('generated pages', () => {
  for (const [name, text] of Object.entries(PAGES)) {
    test(`docs/${name} is up to date`, async () => {
      const page = await readFile(join(ROOT, 'docs', name), 'utf8');
      assert.equal(page, await text(), 'run `npm run build:schemas`');
    });
  }

  test('every field of a spec has a doc comment in its schema', async () => {
    const page = await readFile(join(ROOT, 'docs/schemas.md'), 'utf8');
    const rows = page.split('\n').filter((line) => line.startsWith('| `'));
    assert.ok(rows.length > 100, `only ${rows.length} fields`);
    const bare = rows.filter((line) => /\|\s*\|$/.test(line)).map((line) => line.split('`')[1] ?? '');
    assert.deepEqual(bare, []);
  });

  test('every verb is on the page of the command', async () => {
    const page = await readFile(join(ROOT, 'docs/command.md'), 'utf8');
    const main = await readFile(join(ROOT, 'cli/main.ts'), 'utf8');
    const verbs = [...main.matchAll(/addCommand\((\w+)Command\)/g)].map(([, verb = '']) => verb);
    assert.ok(verbs.length > 10);
    assert.deepEqual(
      verbs.filter((verb) => !page.includes(`### escada ${verb}`)),
      [],
    );
  });
});
