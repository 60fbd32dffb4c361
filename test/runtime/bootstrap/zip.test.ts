import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { crc32, deflateRawSync } from 'node:zlib';
import { extractEntry } from '../../../runtime/bootstrap/zip.mjs';
import { scratch } from './support.ts';

/** A zip file by the format's book: local header and data per entry, directory, end record. */
function zip(entries: { name: string; bytes: Buffer; deflate: boolean; claimedBytes?: number }[]): Buffer {
  const local: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, bytes, deflate, claimedBytes = bytes.length } of entries) {
    const data = deflate ? deflateRawSync(bytes) : bytes;
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(deflate ? 8 : 0, 4);
    common.writeUInt32LE(crc32(bytes), 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(claimedBytes, 18);
    common.writeUInt16LE(name.length, 22);
    const header = Buffer.concat([Buffer.from('PK\x03\x04'), common, Buffer.from(name), data]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    directory.push(Buffer.from('PK\x01\x02\x14\x00'), common, rest, Buffer.from(name));
    local.push(header);
    offset += header.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...local, central, end]);
}

test('one entry comes out whole, stored or deflated; a missing one is false; a cut file is refused', async (t) => {
  const folder = await scratch(t);
  const file = path.join(folder, 'a.zip');
  const long = Buffer.from('stairs '.repeat(50_000));
  const bytes = zip([
    { name: 'a/stored', bytes: Buffer.from('plain'), deflate: false },
    { name: 'a/deflated', bytes: long, deflate: true },
  ]);
  await writeFile(file, bytes);
  const to = path.join(folder, 'out');
  assert.equal(await extractEntry(file, 'a/stored', to, 5), true);
  assert.equal(await readFile(to, 'utf8'), 'plain');
  assert.equal(await extractEntry(file, 'a/deflated', to, long.length), true);
  assert.deepEqual(await readFile(to), long);
  assert.equal(await extractEntry(file, 'a/none', to, 5), false);
  await writeFile(file, bytes.subarray(0, bytes.length - 30));
  await assert.rejects(extractEntry(file, 'a/stored', to, 5), /not a complete zip file/);
});

test('an entry that unpacks to more than it should is cut off, and one of another size is refused', async (t) => {
  const folder = await scratch(t);
  const file = path.join(folder, 'a.zip');
  const to = path.join(folder, 'out');
  const bomb = { name: 'a', bytes: Buffer.alloc(50_000_000), deflate: true };
  await writeFile(file, zip([bomb]));
  await assert.rejects(extractEntry(file, 'a', to, 1000), /a has 50000000 bytes or more .*, not 1000/);
  await writeFile(file, zip([{ ...bomb, claimedBytes: 1000 }]));
  await assert.rejects(extractEntry(file, 'a', to, 1000), /a has \d+ bytes or more .*, not 1000/);
  const { size } = await stat(to).catch(() => ({ size: 0 }));
  assert.ok(size <= 1000, `${size} bytes were written`);
  await writeFile(file, zip([{ name: 'a', bytes: Buffer.from('short'), deflate: true, claimedBytes: 1000 }]));
  await assert.rejects(extractEntry(file, 'a', to, 1000), /a has 5 bytes/);
});
