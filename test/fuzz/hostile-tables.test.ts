/** Data files made to harm: lying footers, endless quotes and lines, deep values. */
import assert from 'node:assert/strict';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { isEscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import { otherTrouble } from '../../plugins/curation/worker/read/unreadable.ts';
import { watchMemory } from '../../tools/fuzz/memory.ts';
import { READERS } from '../../tools/fuzz/readers.ts';

/** The table engine's own limit is 256 MiB here; the rest is room for one record of each reader and for garbage. */
const MAX_BYTES = 640 * 1024 * 1024;
/** Generous for a busy machine: a file is read once as a whole, for its digest. */
const SOON_MS = 30_000;

suite('hostile data files', () => {
  let folder = '';
  let runs = 0;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'escada-hostile-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  function readerOf(name: string) {
    const reader = READERS.find((one) => one.name === name);
    assert.ok(reader, name);
    return reader;
  }

  /** Demands `DATA_UNREADABLE` for the file, soon and in bounded memory. */
  async function refuses(name: string, file: string, why?: RegExp): Promise<void> {
    runs += 1;
    const [memory, startMs] = [watchMemory(), performance.now()];
    await assert.rejects(readerOf(name).read(file, join(folder, `run-${runs}`)), (error: unknown) => {
      assert.ok(isEscadaFailure(error), error instanceof Error ? error.stack : String(error));
      assert.equal(error.code, 'DATA_UNREADABLE', error.message);
      if (why !== undefined) assert.match(error.message, why);
      return true;
    });
    const [bytes, ms] = [memory(), performance.now() - startMs];
    assert.ok(bytes < MAX_BYTES, `${name}: ${bytes} bytes of memory`);
    assert.ok(ms < SOON_MS, `${name}: ${ms} ms`);
  }

  /** A file that starts with `text` and continues with zeros up to `sizeBytes`; takes no room on the disk. */
  async function sparse(text: string, sizeBytes: number): Promise<string> {
    const path = join(folder, 'sparse');
    const file = await open(path, 'w');
    await file.write(text);
    await file.truncate(sizeBytes);
    await file.close();
    return path;
  }

  test('a quote that is never closed is given up after 16 MiB', async () => {
    const inRow = await sparse('in,out\na,b\n"never closed', 1 << 28);
    await refuses('csv', inRow, /line 3: a quote is opened here and not closed within 16 MiB/);
    await refuses('csv', await sparse('"in,out\n', 1 << 26), /line 1: a quote is opened here/);
  });

  test('lines without end are given up after 16 MiB', async () => {
    await refuses('tsv', await sparse('in\tout\na\t', 1 << 26), /longer than 16 MiB/);
    await refuses('jsonl', await sparse('{"in":"', 1 << 26), /longer than 16 MiB/);
  });

  test('nesting in a line is read or refused, never run out of stack for', async () => {
    const path = join(folder, 'deep.jsonl');
    for (const depth of [100, 20_000, 1_000_000]) {
      const deep = `${'['.repeat(depth)}${']'.repeat(depth)}`;
      await writeFile(path, `{"in":"a","out":${deep}}\n`);
      runs += 1;
      await readerOf('jsonl')
        .read(path, join(folder, `run-${runs}`))
        .catch((error: unknown) => assert.ok(isEscadaFailure(error), String(error)));
    }
  });

  /** The second reader starts a thread for each file: it gets fewer. */
  for (const [name, step] of [
    ['parquet', 1],
    ['dataset-rows', 3],
  ] as const) {
    const some = (all: readonly number[]) => all.filter((_, at) => at % step === 0);
    test(`${name}: footers that lie are refused`, async () => {
      const path = join(folder, 'lying.parquet');
      const [good] = await readerOf(name).seeds(folder);
      assert.ok(good);
      const lengthAt = good.length - 8;
      const length = good.readUInt32LE(lengthAt);
      for (const lie of [
        0,
        1,
        length - 1,
        length + 1,
        good.length,
        good.length * 2,
        0x7fffffff,
        0xffffffff,
      ]) {
        const bytes = Buffer.from(good);
        bytes.writeUInt32LE(lie, lengthAt);
        await writeFile(path, bytes);
        await refuses(name, path);
      }
      // The footer's length is right, but its lists claim 2^63 members, or it nests without end.
      for (const filler of some([0xff, 0x19])) {
        const bytes = Buffer.from(good);
        bytes.fill(filler, lengthAt - length, lengthAt);
        await writeFile(path, bytes);
        await refuses(name, path);
      }
      for (const size of some([12, 0, 4])) {
        await writeFile(path, good.subarray(good.length - size));
        await refuses(name, path);
      }
    });
  }

  test('a Parquet footer with any one byte wrong is read, or refused with a code', async (t) => {
    const path = join(folder, 'one-byte.parquet');
    const [good] = await readerOf('parquet').seeds(folder);
    assert.ok(good);
    const start = good.length - 8 - good.readUInt32LE(good.length - 8);
    let refused = 0;
    for (let at = start; at < good.length - 8; at += 1) {
      const bytes = Buffer.from(good);
      bytes[at] = (bytes[at] ?? 0) ^ 0x15;
      await writeFile(path, bytes);
      runs += 1;
      await readerOf('parquet')
        .read(path, join(folder, `run-${runs}`))
        .catch((error: unknown) => {
          refused += 1;
          assert.ok(isEscadaFailure(error), `byte ${at}: ${String(error)}`);
        });
    }
    t.diagnostic(`${refused} of ${good.length - 8 - start} refused`);
    assert.ok(refused > 100);
  });
});

test('a full disk, a missing right, too little memory and defects are not called a damaged file', () => {
  for (const text of [
    'IO Error: Could not write file "/x/stage.parquet": No space left on device',
    'IO Error: Cannot open file "/x/source.parquet": Permission denied',
    'Out of Memory Error: failed to allocate data of size 256.0 MiB',
    'INTERRUPT Error: Interrupted!',
    "Cannot read properties of undefined (reading 'rows')",
  ]) {
    assert.equal(otherTrouble(new Error(text))?.message, text);
  }
  for (const text of [
    'IO Error: Failed to read Parquet file "/x": root schema element has no children',
    'IO Error: INT16 converted type can only be set for value of Type::INT32',
    'Invalid Input Error: No magic bytes found at end of file',
  ]) {
    assert.equal(otherTrouble(new Error(text)), undefined);
  }
});
