import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { readPluginConfig } from '../../runtime/plugin-config.ts';

suite('configuration of plugins', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'escada-config-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const read = async (text: string) => {
    const path = join(folder, 'escada.json');
    await writeFile(path, text);
    return readPluginConfig({ ESCADA_CONFIG: path });
  };

  test('there is none unless a file is named', () => {
    assert.deepEqual(readPluginConfig({}), {});
    assert.deepEqual(readPluginConfig({ ESCADA_CONFIG: '' }), {});
  });

  test('${here} is the folder of the file', async () => {
    const config = await read('{"plugins":{"x":{"command":["${here}/a.py","$&"]}}}');
    assert.deepEqual(config, { x: { command: [`${folder}/a.py`, '$&'] } });
  });

  test('what is wrong with it is said, with its path', async () => {
    assert.throws(() => readPluginConfig({ ESCADA_CONFIG: '/nowhere.json' }), {
      code: 'FILE_NOT_FOUND',
      message: /\/nowhere\.json/,
    });
    for (const text of ['{', '[]', '{"plugin":{}}', '{"plugins":[]}'])
      await assert.rejects(read(text), { code: 'PLUGIN_OPTIONS_INVALID', message: /escada\.json \(ESCADA_/ });
  });
});
