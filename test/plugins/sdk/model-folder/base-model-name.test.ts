import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeManifest } from '../../../../plugins/sdk/model-folder/manifest.ts';
import { baseModelName } from '../../../../plugins/sdk/model-folder/base-model-name.ts';
import { inFolder } from '../../nf4-lora/support.ts';

const PULLED = {
  manifestVersion: 1,
  endpoint: 'https://huggingface.co',
  repository: 'owner/name',
  requestedRevision: 'main',
  revision: '0123456789abcdef0123456789abcdef01234567',
  files: [],
} as const;

test('an adapter calls its base by the repository, or the folder, or the id of a file', async () => {
  await inFolder(async (root) => {
    const [folder, file] = [join(root, 'folder'), join(root, 'files', 'model.gguf')];
    await mkdir(folder);
    await mkdir(join(root, 'files'));
    await writeFile(file, '');
    assert.equal(await baseModelName({ id: 'own', path: folder }), folder);
    assert.equal(await baseModelName({ id: 'own', path: file }), 'own');
    for (const place of [folder, join(root, 'files')]) await writeManifest(place, { ...PULLED, files: [] });
    for (const path of [folder, file])
      assert.equal(await baseModelName({ id: 'owner--name', path }), 'owner/name');
  });
});
