/** Plugin packages as files on the disk: found, imported, checked, and refused by code, file and entry. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { createPluginHost } from '../../../plugins/host/host.ts';
import { loadPackages } from '../../../plugins/host/load-packages.ts';
import { loadHost } from '../../../plugins.ts';

/** A plugin's members; the schema accepts everything and adds where the options came from. */
const members = (name: string, more = '') => `{
  name: '${name}', version: '0.3.0', apiVersion: 1, needs: [],
  optionsSchema: { safeParse: (data) => ({ success: true, data }) },
  register() {}, close: async () => {}, ${more}
}`;

suite('plugin packages', () => {
  let project = '';
  before(async () => {
    project = await mkdtemp(join(tmpdir(), 'escada-packages-'));
  });
  after(() => rm(project, { recursive: true, force: true }));

  async function write(path: string, text: string): Promise<void> {
    const file = join(project, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }

  async function writePackage(
    name: string,
    manifest: object,
    module: string,
    file = 'index.js',
  ): Promise<void> {
    const folder = join('node_modules', name);
    await write(join(folder, 'package.json'), JSON.stringify({ name, type: 'module', ...manifest }));
    await write(join(folder, file), module);
  }

  const FILE = '/project/escada.config.json';
  const load = async (...packages: string[]) =>
    await loadPackages({ plugins: packages.map((one) => ({ package: one })), file: FILE, folder: project });

  const refused = async (name: string, code: string, ...parts: RegExp[]) => {
    for (const message of [/^\/project\/escada\.config\.json, plugins\[0\]: /, ...parts])
      await assert.rejects(load(name), { code, message });
  };

  test('a package is found by main, by exports and their conditions, under a scope, through a link', async () => {
    await writePackage(
      'by-main',
      { version: '1.2.3', main: 'lib/a.js' },
      `export default ${members('a')}`,
      'lib/a.js',
    );
    const exported = { '.': { require: './no.cjs', types: './b.d.ts', import: { node: './b.js' } } };
    await writePackage(
      '@of/b',
      { version: '2.0.0', exports: exported },
      `export default () => (${members('b')})`,
      'b.js',
    );
    await write('elsewhere/package.json', '{"name":"linked","type":"module","exports":"./c.js"}');
    await write('elsewhere/c.js', `export default async () => (${members('c')})`);
    await symlink(join(project, 'elsewhere'), join(project, 'node_modules/linked'));
    const listed = await load('by-main', '@of/b', 'linked', './elsewhere', './elsewhere/c.js');
    assert.deepEqual(
      listed.map(({ plugin }) => plugin.name),
      ['a', 'b', 'c', 'c', 'c'],
    );
    const [, , linked, folder] = listed;
    assert.notEqual(linked?.plugin, folder?.plugin, 'a factory makes one for each entry');
  });

  test('a package of a folder above is found, as Node does', async () => {
    await writePackage('above', {}, `export default ${members('above')}`);
    const inner = join(project, 'packages/inner');
    await mkdir(inner, { recursive: true });
    const [found] = await loadPackages({ plugins: [{ package: 'above' }], file: FILE, folder: inner });
    assert.equal(found?.plugin.name, 'above');
  });

  test('each thing that can be wrong with a package has its code, with file, entry and what to do', async () => {
    await refused('not-there', 'PLUGIN_NOT_FOUND', /not-there/, /npm install not-there/);
    await refused('./nowhere', 'PLUGIN_NOT_FOUND', /relative to the configuration file/);
    await refused('/etc/passwd', 'PLUGIN_NOT_FOUND', /is no package name/);
    await refused('a/../../b', 'PLUGIN_NOT_FOUND', /is no package name/);
    await writePackage('throws', {}, `throw new Error('no licence');`);
    await refused('throws', 'PLUGIN_LOAD_FAILED', /throws\/index\.js: Error: no licence/);
    await writePackage('imports', {}, `import 'not-a-package-of-anybody'; export default 1;`);
    await refused('imports', 'PLUGIN_LOAD_FAILED', /not-a-package-of-anybody/);
    await writePackage('empty', {}, 'export const plugin = 1;');
    await refused('empty', 'PLUGIN_INVALID', /has no default export/);
    await writePackage('number', {}, 'export default 3;');
    await refused('number', 'PLUGIN_INVALID', /it is number, not an object/);
    await writePackage('shape', {}, `export default ${members('shape', 'register: 3')}`);
    await refused('shape', 'PLUGIN_INVALID', /`register` must be a function/);
    await writePackage('name', {}, `export default ${members('A Name')}`);
    await refused('name', 'PLUGIN_INVALID', /`name` must be lower-case/);
  });

  test('what registration refuses names the entry, too', async () => {
    await writePackage('old', {}, `export default ${members('old', 'apiVersion: 0')}`);
    await writePackage('needy', {}, `export default ${members('needy', "needs: ['absent']")}`);
    const strict = `optionsSchema: { safeParse: () => ({ success: false, error: { issues: [{ path: ['url'], message: 'is missing' }] } }) }`;
    await writePackage('strict', {}, `export default ${members('strict', strict)}`);
    await writePackage('twin', {}, `export default ${members('by-main-twin')}`);
    const kind = `register: (r) => r.addStepKind({ kind: 'NoMajor', specificationVersion: 'v1' })`;
    await writePackage('kind', {}, `export default ${members('kind', kind)}`);
    const version = `register: (r) => r.addTrainer({ id: 'mine', specificationVersion: 'v9' })`;
    await writePackage('version', {}, `export default ${members('version', version)}`);
    const cases = [
      [
        'old',
        'PLUGIN_API_VERSION',
        /Plugin old \(.*plugins\[0\]: old\) .* contract 0; this is 1\. Update the plugin\./,
      ],
      ['needy', 'PLUGIN_NEED_MISSING', /Plugin needy \(.*plugins\[0\]: needy\) needs absent/],
      [
        'strict',
        'PLUGIN_OPTIONS_INVALID',
        /Options of plugin strict \(.*plugins\[0\]: strict\): url: is missing/,
      ],
      ['kind', 'PLUGIN_KIND_INVALID', /Plugin kind, step kind "NoMajor": .*name@major/],
      ['version', 'PLUGIN_KIND_INVALID', /Plugin version, trainer "mine": its specificationVersion is "v9"/],
    ] as const;
    for (const [name, code, message] of cases) {
      const listed = await load(name);
      assert.throws(() => createPluginHost(listed), { code, message });
    }
    const twice = await load('twin', 'twin');
    assert.throws(() => createPluginHost(twice), {
      code: 'PLUGIN_DUPLICATE',
      message: /plugins\[1\]: twin.*plugins\[0\]: twin/,
    });
  });

  test("the project's host: built-in plugins, then the packages with their options and defaults", async () => {
    const rung = `register: (r, options) => r.addMetric({ id: options.id, optionsSchema: null, create: null })`;
    await writePackage('brings', { version: '0.3.0' }, `export default ${members('brings', rung)}`);
    const file = join(project, 'escada.config.json');
    const config = {
      plugins: [{ package: 'brings', options: { id: 'mine' } }],
      defaults: { model: 'another' },
    };
    await writeFile(file, JSON.stringify(config));
    const host = await loadHost([], { env: {}, folder: project });
    const own = host.plugins.at(-1);
    assert.deepEqual(own?.brings, [{ kind: 'metric', names: ['mine'] }]);
    assert.deepEqual([own?.version, own?.origin], ['0.3.0', `${file}, plugins[0]: brings`]);
    assert.ok(host.registry.rungs.has('zero-shot'));
    assert.deepEqual([host.defaults.model, host.defaults.retriever], ['another', 'lexical']);
    await host.close();
    for (const [changes, code, message] of [
      [{ options: { brings: {} } }, 'PLUGIN_OPTIONS_INVALID', /options\.brings belongs to a listed package/],
      [
        { defaults: { trainer: 'nobody' } },
        'CONFIG_INVALID',
        /escada\.config\.json: defaults\.trainer: no plugin brings the trainer "nobody"/,
      ],
    ] as const) {
      await writeFile(file, JSON.stringify({ ...config, ...changes }));
      await assert.rejects(loadHost([], { env: {}, folder: project }), { code, message });
    }
  });
});
