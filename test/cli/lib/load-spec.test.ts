import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { readSpecFile } from '../../../cli/lib/load-spec.ts';

const SPEC = { name: 'größe', target: 0.5 };
const TEXT = JSON.stringify(SPEC);

/** Bytes of UTF-16 with the other order. */
const swapped = (bytes: Buffer) => Buffer.from(bytes).swap16();

const ENCODINGS: Readonly<Record<string, Buffer>> = {
  'UTF-8': Buffer.from(TEXT),
  'UTF-8 with a byte order mark': Buffer.from(`\ufeff${TEXT}`),
  'UTF-16, little end first': Buffer.from(`\ufeff${TEXT}`, 'utf16le'),
  'UTF-16, big end first': swapped(Buffer.from(`\ufeff${TEXT}`, 'utf16le')),
};

suite('spec files as editors write them', () => {
  let folder = '';
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'escada-spec-'))));
  after(async () => await rm(folder, { recursive: true }));

  for (const [name, bytes] of Object.entries(ENCODINGS)) {
    test(name, async () => {
      const path = join(folder, 'spec.json');
      await writeFile(path, bytes);
      assert.deepEqual(await readSpecFile(path), SPEC);
    });
  }

  test('Latin-1 is refused by name, with what to do', async () => {
    const path = join(folder, 'latin.json');
    await writeFile(path, Buffer.from(TEXT, 'latin1'));
    await assert.rejects(readSpecFile(path), {
      code: 'INVALID_SPEC',
      message: /latin\.json is not text in UTF-8\. Save/,
    });
  });

  test('a folder, a missing file', async () => {
    await assert.rejects(readSpecFile(folder), {
      code: 'FILE_NOT_FOUND',
      message: /it is a folder; name the JSON file/,
    });
    await assert.rejects(readSpecFile(join(folder, 'no.json')), { message: /There is no spec file/ });
  });
});
