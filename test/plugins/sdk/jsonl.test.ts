import assert from 'node:assert/strict';
import { mkdtemp, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { FileStore } from '../../../core/store/file-store.ts';
import { JSONL_TYPE, putJsonl, readJsonl } from '../../../plugins/sdk/jsonl.ts';

const folder = await mkdtemp(join(tmpdir(), 'escada-jsonl-'));
const store = new FileStore(join(folder, 'store'));

suite('rows as lines of JSON', () => {
  test('rows come back as they were, with line separators and across pieces of the file', async () => {
    const rows = Array.from({ length: 3000 }, (_, at) => ({
      id: at,
      text: `\u2028\u2029\r ${'é'.repeat(999)}`,
    }));
    const ref = await putJsonl(store, rows);
    assert.deepEqual(await readJsonl(store, ref), rows);
    assert.deepEqual(await readJsonl(store, ref, { limit: 2 }), rows.slice(0, 2));
    assert.deepEqual(await readJsonl(store, await putJsonl(store, [])), []);
    const noEnd = await store.putBytes(Buffer.from('{"a":1}\n\n{"a":2}'), JSONL_TYPE);
    assert.deepEqual(await readJsonl(store, noEnd), [{ a: 1 }, { a: 2 }]);
  });

  test('what is not JSON is refused with its line', async () => {
    const ref = await store.putBytes(Buffer.from('{"a":1}\nnonsense\n'), JSONL_TYPE);
    await assert.rejects(readJsonl(store, ref), { code: 'DATA_UNREADABLE', message: /line 2 is not JSON/ });
  });

  test('a line that no string could hold is refused, not tried', async () => {
    const path = join(folder, 'long');
    const file = await open(path, 'w');
    await file.truncate(80 * 1024 * 1024);
    await file.close();
    const ref = await store.putFile(path, JSONL_TYPE);
    await assert.rejects(readJsonl(store, ref), {
      code: 'DATA_UNREADABLE',
      message: /more than 67108864 bytes/,
    });
  });

  test('more than can be held at once is refused, unless only its beginning is asked for', async () => {
    const ref = await putJsonl(store, [{ a: 1 }]);
    await assert.rejects(readJsonl(store, { ...ref, sizeBytes: 2 ** 40 }), {
      code: 'DATA_UNREADABLE',
      message: /held at once/,
    });
  });
});
