import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findWords } from '../../tools/architecture/words-report.ts';
import { WORDS } from '../../tools/architecture/words.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));

test('words that were given up do not come back', async (t) => {
  const { files, hits } = await findWords(root);
  assert.ok(files > 500, `only ${files} files were read`);
  for (const { id, use, pending } of WORDS) {
    const found = hits.get(id) ?? [];
    if (pending) t.diagnostic(`pending: ${id}: ${found.length} hits`);
    else {
      const places = found.map(({ file, line, text }) => `${file}:${line}: ${text}`);
      assert.deepEqual(places, [], `"${id}": write ${use}`);
    }
  }
});

test('a word is found in a line and in a path, and not where a reason allows it', async (t) => {
  const place = await mkdtemp(join(tmpdir(), 'escada-words-'));
  t.after(() => rm(place, { recursive: true, force: true }));
  await mkdir(join(place, 'plugins/rungs'), { recursive: true });
  await mkdir(join(place, 'examples/product-descriptions'), { recursive: true });
  await writeFile(join(place, 'plugins/rungs/contract.ts'), '// a clean line\n// every vice\n');
  await writeFile(join(place, 'examples/product-descriptions/README.md'), 'the text of the house\n');
  const { files, hits } = await findWords(place);
  assert.equal(files, 2);
  assert.deepEqual(hits.get('vice'), [{ file: 'plugins/rungs/contract.ts', line: 2, text: '// every vice' }]);
  assert.deepEqual(
    hits.get('file names')?.map(({ line }) => line),
    [0],
  );
  assert.deepEqual(hits.get('the house'), []);
});
