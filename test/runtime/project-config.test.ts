import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { readProjectConfig } from '../../runtime/project-config.ts';

suite('configuration file of a project', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'escada-config-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const read = async (text: string) => {
    const path = join(folder, 'escada.json');
    await writeFile(path, text);
    return readProjectConfig({ env: { ESCADA_CONFIG: path } });
  };

  test('a project needs none', async () => {
    const empty = await mkdtemp(join(folder, 'empty-'));
    for (const env of [{}, { ESCADA_CONFIG: '' }]) {
      const { file, plugins, options, defaults } = readProjectConfig({ env, folder: empty });
      assert.deepEqual(
        { file, plugins, options, defaults },
        { file: null, plugins: [], options: {}, defaults: {} },
      );
    }
  });

  test('escada.config.json is read from the folder itself, never from one above; the variable wins', async () => {
    const project = await mkdtemp(join(folder, 'project-'));
    const inner = join(project, 'inner');
    await mkdir(inner);
    await writeFile(join(project, 'escada.config.json'), '{"plugins":[{"package":"here"}]}');
    await writeFile(join(inner, 'named.json'), '{"plugins":[{"package":"named"}]}');
    const packages = (place: Parameters<typeof readProjectConfig>[0]) =>
      readProjectConfig(place).plugins.map((one) => one.package);
    assert.deepEqual(packages({ env: {}, folder: project }), ['here']);
    assert.deepEqual(packages({ env: {}, folder: inner }), []);
    const found = readProjectConfig({ env: { ESCADA_CONFIG: 'inner/named.json' }, folder: project });
    assert.deepEqual([found.plugins[0]?.package, found.folder], ['named', inner]);
  });

  test('${here} is the folder of the file', async () => {
    const { options } = await read('{"options":{"x":{"command":["${here}/a.py","$&"]}}}');
    assert.deepEqual(options, { x: { command: [`${folder}/a.py`, '$&'] } });
  });

  test('what is wrong with it is said, with its path and field', async () => {
    assert.throws(() => readProjectConfig({ env: { ESCADA_CONFIG: '/nowhere.json' } }), {
      code: 'FILE_NOT_FOUND',
      message: /ESCADA_CONFIG names \/nowhere\.json.*ENOENT/,
    });
    for (const [text, problem] of [
      ['{', /it is not JSON/],
      ['[]', /the file: /],
      ['{"plugin":[]}', /plugin: is not a known field\. Did you mean "plugins"\?/],
      ['{"plugins":{}}', /plugins: /],
      ['{"plugins":["x"]}', /plugins\[0\]: /],
      ['{"defaults":{"model":3}}', /defaults\.model: /],
      ['{"store":{"options":{}}}', /store\.use: /],
    ] as const) {
      const wrong = { code: 'CONFIG_INVALID', message: new RegExp(`escada\\.json: .*${problem.source}`) };
      await assert.rejects(read(text), wrong);
    }
    await mkdir(join(folder, 'escada.config.json'));
    assert.throws(() => readProjectConfig({ env: {}, folder }), {
      code: 'FILE_NOT_FOUND',
      message: /EISDIR/,
    });
  });
});
