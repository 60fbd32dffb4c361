import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { z } from 'zod';
import { readRows, withScratch, writeRows } from '../../../../activities/shared/process/rows.ts';

const schema = z.strictObject({ id: z.string(), text: z.string() });

suite('rows', () => {
  test('come back as they went, over several chunks and with line separators inside', async () => {
    const rows = Array.from({ length: 3000 }, (_, index) => ({
      id: `${index}`,
      text: `\u2028\u2029\r"ä${'x'.repeat(index % 300)}`,
    }));
    await withScratch(async (folder) => {
      await writeRows(join(folder, 'rows'), rows);
      assert.deepEqual(await readRows(join(folder, 'rows'), schema), rows);
    });
  });

  test('a broken row names file and line', async () => {
    await withScratch(async (folder) => {
      const path = join(folder, 'rows');
      for (const bad of ['{"id":"b"}', '{"id":']) {
        await writeFile(path, `{"id":"a","text":"t"}\n${bad}\n`);
        await assert.rejects(readRows(path, schema), { code: 'ENGINE_IO', message: /rows:2: not a row/ });
      }
    });
  });

  test('the scratch folder is removed when the work fails', async () => {
    let seen = '';
    const work = (folder: string): Promise<never> => {
      seen = folder;
      return Promise.reject(new Error('work'));
    };
    await assert.rejects(withScratch(work), /work/);
    assert.equal(existsSync(seen), false);
  });
});
