import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { suite, test } from 'node:test';
import { z } from 'zod';
import { withRowsIn } from '../../../../plugins/sdk/rows-folder.ts';
import { readRows, withScratch, writeRows } from '../../../../plugins/sdk/process/rows.ts';

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

  test('lie in the scratch folder of the step that works, private, however many steps work at once', async () => {
    const steps = await Promise.all(
      ['a', 'b'].map(async (name) => await mkdtemp(join(tmpdir(), `escada-step-${name}-`))),
    );
    const found = await Promise.all(
      steps.map(
        async (step) =>
          await withRowsIn(step, async () => {
            await new Promise((resolve) => setTimeout(resolve, 1));
            return await withScratch(async (folder) => {
              await writeRows(join(folder, 'rows'), [{ id: 'a' }]);
              const modes = [folder, join(folder, 'rows')].map((path) => statSync(path).mode & 0o777);
              return { place: dirname(folder), modes };
            });
          }),
      ),
    );
    assert.deepEqual(
      found,
      steps.map((place) => ({ place, modes: [0o700, 0o600] })),
    );
    assert.deepEqual(
      steps.map((step) => readdirSync(step)),
      [[], []],
    );
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
