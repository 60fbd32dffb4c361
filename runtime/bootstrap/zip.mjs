// Reads one entry out of a zip file (a Python wheel is one), so that no other program is needed for it.
import { createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createInflateRaw } from 'node:zlib';

const END_RECORD_SIGNATURE = 0x06054b50;
const ENTRY_SIGNATURE = 0x02014b50;
const LOCAL_SIGNATURE = 0x04034b50;
const END_RECORD_BYTES = 22;
const ENTRY_BYTES = 46;
const LOCAL_BYTES = 30;
const MAX_COMMENT_BYTES = 0xffff;
const STORED = 0;
const DEFLATED = 8;

/** @typedef {{ method: number, compressedBytes: number, sizeBytes: number, headerOffset: number }} Entry */

/**
 * Writes the bytes of `entryName` to the file `to`. No more than they should be are ever written, whatever the zip
 * unpacks to: a few kilobytes can hold a full disk.
 * @param {string} zipFile Without zip64, that is below 4 GiB.
 * @param {string} entryName
 * @param {string} to
 * @param {number} sizeBytes What the entry must unpack to.
 * @returns {Promise<boolean>} false when the zip has no such entry.
 * @throws {Error} When the file is not a readable zip, or the entry has another size.
 */
export async function extractEntry(zipFile, entryName, to, sizeBytes) {
  const handle = await open(zipFile, 'r');
  try {
    const entry = findEntry(await readDirectory(handle), entryName);
    if (entry === null) return false;
    if (entry.sizeBytes !== sizeBytes) throw wrongSize(entryName, entry.sizeBytes, sizeBytes);
    const header = await readBytes(handle, entry.headerOffset, LOCAL_BYTES);
    if (header.readUInt32LE(0) !== LOCAL_SIGNATURE) throw new Error('zip entry without its header');
    const start = entry.headerOffset + LOCAL_BYTES + header.readUInt16LE(26) + header.readUInt16LE(28);
    const source = handle.createReadStream({
      start,
      end: start + entry.compressedBytes - 1,
      autoClose: false,
    });
    const target = createWriteStream(to);
    const exact = ofExactly(entryName, sizeBytes);
    if (entry.method === STORED) await pipeline(source, exact, target);
    else if (entry.method === DEFLATED) await pipeline(source, createInflateRaw(), exact, target);
    else throw new Error(`zip compression method ${entry.method} is not known`);
    return true;
  } finally {
    await handle.close();
  }
}

/**
 * Passes bytes on, and fails at the first one too many or when some are missing at the end.
 * @param {string} entryName
 * @param {number} sizeBytes
 */
function ofExactly(entryName, sizeBytes) {
  let seenBytes = 0;
  return new Transform({
    /** @param {Buffer} chunk */
    transform(chunk, _encoding, done) {
      seenBytes += chunk.length;
      if (seenBytes > sizeBytes) done(wrongSize(entryName, seenBytes, sizeBytes));
      else done(null, chunk);
    },
    flush(done) {
      done(seenBytes === sizeBytes ? null : wrongSize(entryName, seenBytes, sizeBytes));
    },
  });
}

/**
 * @param {string} entryName
 * @param {number} bytes
 * @param {number} wanted
 */
function wrongSize(entryName, bytes, wanted) {
  return new Error(`${entryName} has ${bytes} bytes or more in the zip file, not ${wanted}`);
}

/**
 * The central directory, found through the record at the end of the file.
 * @param {import('node:fs/promises').FileHandle} handle
 * @returns {Promise<Buffer>}
 */
async function readDirectory(handle) {
  const { size } = await handle.stat();
  const tailBytes = Math.min(size, END_RECORD_BYTES + MAX_COMMENT_BYTES);
  const tail = await readBytes(handle, size - tailBytes, tailBytes);
  for (let at = tail.length - END_RECORD_BYTES; at >= 0; at -= 1) {
    if (tail.readUInt32LE(at) !== END_RECORD_SIGNATURE) continue;
    const [bytes, offset] = [tail.readUInt32LE(at + 12), tail.readUInt32LE(at + 16)];
    if (offset + bytes > size) break;
    return readBytes(handle, offset, bytes);
  }
  throw new Error('not a complete zip file');
}

/**
 * @param {Buffer} directory
 * @param {string} wanted
 * @returns {Entry | null}
 */
function findEntry(directory, wanted) {
  let at = 0;
  while (at + ENTRY_BYTES <= directory.length && directory.readUInt32LE(at) === ENTRY_SIGNATURE) {
    const nameBytes = directory.readUInt16LE(at + 28);
    const name = directory.toString('utf8', at + ENTRY_BYTES, at + ENTRY_BYTES + nameBytes);
    if (name === wanted) {
      return {
        method: directory.readUInt16LE(at + 10),
        compressedBytes: directory.readUInt32LE(at + 20),
        sizeBytes: directory.readUInt32LE(at + 24),
        headerOffset: directory.readUInt32LE(at + 42),
      };
    }
    at += ENTRY_BYTES + nameBytes + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
  }
  return null;
}

/**
 * @param {import('node:fs/promises').FileHandle} handle
 * @param {number} position
 * @param {number} length
 * @returns {Promise<Buffer>}
 */
async function readBytes(handle, position, length) {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, position);
  if (bytesRead !== length) throw new Error('zip file ends too early');
  return buffer;
}
