import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { readEmbeddings } from '../../../../plugins/nf4-lora/worker/embeddings-file.ts';
import { inFolder } from '../support.ts';

const HEADER = {
  embeddings: { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] },
  tokens: { dtype: 'U32', shape: [2], data_offsets: [24, 32] },
};

function fileOf(header: unknown, data: Buffer): Buffer {
  // An odd header length puts the data on an odd address.
  const text = Buffer.from(`${JSON.stringify(header)} `);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.byteLength));
  return Buffer.concat([length, text, data]);
}

const DATA = Buffer.concat([
  Buffer.from(new Float32Array([1, 2, 3, -1, 0.5, 0]).buffer),
  Buffer.from(new Uint32Array([7, 70_000]).buffer),
]);

suite('file of embeddings', () => {
  test('rows are vectors and token counts', async () => {
    await inFolder(async (folder) => {
      const path = join(folder, 'vectors');
      await writeFile(path, fileOf(HEADER, DATA));
      assert.deepEqual(await readEmbeddings(path, 2), {
        embeddings: [new Float32Array([1, 2, 3]), new Float32Array([-1, 0.5, 0])],
        tokens: [7, 70_000],
      });
    });
  });

  test('anything else is refused by name', async () => {
    const long = { ...HEADER, tokens: { ...HEADER.tokens, data_offsets: [24, 40] } };
    const bad: [Buffer, RegExp][] = [
      [Buffer.from('short'), /no header/],
      [Buffer.alloc(8, 0xff), /no header/],
      [fileOf({ embeddings: HEADER.embeddings }, DATA), /another shape/],
      [fileOf(HEADER, DATA.subarray(0, 20)), /ends elsewhere/],
      [fileOf(long, DATA), /ends elsewhere/],
    ];
    await inFolder(async (folder) => {
      const path = join(folder, 'vectors');
      for (const [bytes, message] of bad) {
        await writeFile(path, bytes);
        await assert.rejects(readEmbeddings(path, 2), { code: 'ENGINE_IO', message });
      }
      await writeFile(path, fileOf(HEADER, DATA));
      await assert.rejects(readEmbeddings(path, 3), { code: 'ENGINE_IO', message: /2 vectors for 3 texts/ });
    });
  });
});
