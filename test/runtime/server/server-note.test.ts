import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { readNote, serverFiles, writeNote } from '../../../runtime/server/server-note.ts';
import { identify } from '../../../runtime/process-id.ts';

suite('the note about a server', () => {
  let root: string;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'escada-note-'));
  });
  after(async () => await rm(root, { recursive: true, force: true }));

  async function filesOf(name: string) {
    await mkdir(join(root, name), { recursive: true });
    return serverFiles(join(root, name, 'temporal.db'));
  }

  test('is read back while the server lives', async () => {
    const [files, self] = [await filesOf('good'), await identify(process.pid)];
    assert.ok(self);
    assert.equal(await readNote(files), null);
    await writeNote(files, { ...self, port: 7233 });
    assert.equal((await readNote(files))?.port, 7233);
    await writeNote(files, { ...self, birth: '0'.repeat(16), port: 7233 });
    assert.equal(await readNote(files), null, 'another process has its pid');
  });

  test('in a copy of the folder says nothing about the copy', async () => {
    const [files, self] = [await filesOf('original'), await identify(process.pid)];
    assert.ok(self);
    await writeNote(files, { ...self, port: 7233 });
    await cp(join(root, 'original'), join(root, 'copy'), { recursive: true });
    assert.equal(await readNote(await filesOf('copy')), null);
  });

  test('that is empty, torn or of another shape is as good as none', async () => {
    const files = await filesOf('torn');
    await mkdir(dirname(files.note), { recursive: true });
    for (const text of [
      '',
      '{"pid":12',
      '[]',
      'null',
      '{"pid":"1","birth":"0","port":7233,"folderInode":"1"}',
    ]) {
      await writeFile(files.note, text);
      assert.equal(await readNote(files), null, text);
    }
  });

  test('names that SQLite would read as a URI are refused, ordinary ones are not', () => {
    for (const name of ['a#1.db', 'a?x.db', 'a%20.db', 'file:a.db', '.db'])
      assert.throws(() => serverFiles(join('/x', name)), { code: 'OUTPUT_NOT_WRITABLE' }, name);
    for (const name of ['temporal.db', 'my runs.db', 'läufe_2.sqlite'])
      assert.equal(serverFiles(join('/client #1', name)).database, name);
  });
});
