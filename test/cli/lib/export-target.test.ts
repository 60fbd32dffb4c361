import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { requireTarget } from '../../../cli/lib/export-target.ts';

test('an export goes to a new place, an empty folder, or over a file', async (t) => {
  const room = await mkdtemp(join(tmpdir(), 'escada-target-'));
  t.after(() => rm(room, { recursive: true }));
  const [file, folder, full] = ['file', 'folder', 'full'].map((name) => join(room, name)) as [
    string,
    string,
    string,
  ];
  await writeFile(file, 'x');
  await mkdir(folder);
  await mkdir(full);
  await writeFile(join(full, 'model.safetensors'), 'x');
  for (const form of ['file', 'folder'] as const) await requireTarget(join(room, 'new'), form);
  await requireTarget(file, 'file');
  await requireTarget(folder, 'folder');
  for (const [path, form, message] of [
    [full, 'folder', /full: the folder is not empty; choose another --out/],
    [file, 'folder', /it is a file/],
    [folder, 'file', /it is a folder/],
  ] as const)
    await assert.rejects(requireTarget(path, form), { code: 'OUTPUT_NOT_WRITABLE', message });
});
