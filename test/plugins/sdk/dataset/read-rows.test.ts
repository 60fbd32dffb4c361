import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { buildMessages } from '../../../../plugins/sdk/prompts.ts';
import { readRows, streamRows } from '../../../../plugins/sdk/dataset/read-rows.ts';

let folder = '';

async function write(name: string, select: string): Promise<string> {
  const path = join(folder, name);
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const options = 'FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 2048';
  await connection.run(`COPY (${select}) TO '${path}' (${options})`);
  connection.closeSync();
  instance.closeSync();
  return path;
}

const TEXT_ROWS =
  "SELECT 'r' || range AS id, 'Grüße ' || range AS input, 'a' || range AS output, range AS row FROM range(5000)";

suite('readRows', () => {
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'escada-rows-'));
  });
  after(() => rm(folder, { recursive: true }));

  test('reads all rows of all row groups in order', async () => {
    const rows = await readRows(await write('good.parquet', TEXT_ROWS));
    assert.equal(rows.length, 5000);
    assert.deepEqual(rows[4999], { id: 'r4999', input: 'Grüße 4999', output: 'a4999' });
    assert.ok(rows.every((row, index) => row.id === `r${index}`));
  });

  test('stops at the limit, also inside and across row groups', async () => {
    const path = await write('limit.parquet', TEXT_ROWS);
    for (const limit of [0, 1, 2048, 2049, 9000]) {
      assert.equal((await readRows(path, { limit })).length, Math.min(limit, 5000));
    }
  });

  test('reads an empty file', async () => {
    assert.deepEqual(await readRows(await write('empty.parquet', `${TEXT_ROWS} WHERE false`)), []);
  });

  test('a reader that stops early leaves nothing behind', async () => {
    for await (const row of streamRows(await write('stop.parquet', TEXT_ROWS))) {
      if (row.id === 'r3') break;
    }
  });

  test('refuses a missing file, a damaged file, a missing column and nulls', async () => {
    await assert.rejects(readRows(join(folder, 'none.parquet')), { code: 'FILE_NOT_FOUND' });
    const bytes = await readFile(await write('whole.parquet', TEXT_ROWS));
    await writeFile(join(folder, 'cut.parquet'), bytes.subarray(0, bytes.length / 2));
    await assert.rejects(readRows(join(folder, 'cut.parquet')), { code: 'DATA_UNREADABLE' });
    bytes.fill(7, 4, 5000);
    await writeFile(join(folder, 'hurt.parquet'), bytes);
    await assert.rejects(readRows(join(folder, 'hurt.parquet')), { code: 'DATA_UNREADABLE' });
    const noOutput = await write('no-output.parquet', "SELECT 'a' AS id, 'b' AS input");
    await assert.rejects(readRows(noOutput), { code: 'DATA_UNREADABLE', message: /no column output/ });
    const nulls = await write('nulls.parquet', "SELECT 'a' AS id, 'b' AS input, NULL::VARCHAR AS output");
    await assert.rejects(readRows(nulls), { code: 'DATA_UNREADABLE', message: /"a"/ });
  });
});

suite('buildMessages', () => {
  test('puts demonstrations before the question and always has a system turn', () => {
    const shots = [{ input: 'x', output: 'y' }];
    assert.deepEqual(buildMessages({ system: '', instruction: 'Do it.', shots, input: 'z' }), [
      { role: 'system', content: '' },
      { role: 'user', content: 'Do it.\nx' },
      { role: 'assistant', content: 'y' },
      { role: 'user', content: 'Do it.\nz' },
    ]);
  });
});
