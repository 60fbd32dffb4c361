/** Only a native library counts as the engine: whatever else its path names is refused, and never run. */
import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { onEachLine } from '../../../../plugins/sdk/process/lines.ts';
import { engineAddonPath } from '../../../../runtime/bootstrap/engine.mjs';
import { BUILT_ADDON } from '../../../../plugins/nf4-lora/worker/addon-path.ts';
import { PACKAGE_ROOT } from '../../../../plugins/sdk/package-paths.ts';
import { addonPath, spawnChild } from '../../../../plugins/nf4-lora/worker/spawn-child.ts';

suite('the path of the engine', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'escada-addon-'));
    await mkdir(join(folder, 'ran'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  /** Starts the engine's process with this file as its addon; returns the error it reports. */
  async function errorOf(path: string): Promise<{ readonly code: string; readonly message: string }> {
    const child = spawnChild({ addonPath: path });
    const lines: string[] = [];
    onEachLine(child.replies, (line) => lines.push(line));
    await child.closed;
    assert.equal(lines.length, 1, lines.join('\n'));
    return (JSON.parse(lines[0] ?? '') as { error: { code: string; message: string } }).error;
  }

  /** Contents that leave a file behind when they run. */
  const SCRIPTS: Readonly<Record<string, (mark: string) => string>> = {
    'plain.js': (mark) => `require('node:fs').writeFileSync(${JSON.stringify(mark)}, '');`,
    'module.mjs': (mark) => `import fs from 'node:fs'; fs.writeFileSync(${JSON.stringify(mark)}, '');`,
    'common.cjs': (mark) => `require('node:fs').writeFileSync(${JSON.stringify(mark)}, '');`,
    'typed.ts': (mark) =>
      `import fs from 'node:fs'; fs.writeFileSync(${JSON.stringify(mark)} as string, '');`,
    'named-like-an-addon.node': (mark) => `require('node:fs').writeFileSync(${JSON.stringify(mark)}, '');`,
    'shell.sh': (mark) => `#!/bin/sh\ntouch '${mark}'\n`,
    'without-ending': (mark) => `#!/bin/sh\ntouch '${mark}'\n`,
    'value.json': () => '{}',
    'empty.node': () => '',
    'cut.node': () => '\u007fELF\u0002\u0001\u0001',
  };

  for (const [name, content] of Object.entries(SCRIPTS)) {
    test(`${name} is refused and not run`, async () => {
      const path = join(folder, name);
      await writeFile(path, content(join(folder, 'ran', name)));
      await chmod(path, 0o755);
      const { code, message } = await errorOf(path);
      assert.equal(code, 'ENGINE_NOT_BUILT');
      assert.match(message, /^the native engine cannot be loaded/);
      assert.deepEqual(await readdir(join(folder, 'ran')), []);
    });
  }

  test('a folder with an index.js is refused and not run', async () => {
    const path = join(folder, 'package');
    await mkdir(path);
    await writeFile(join(path, 'index.js'), SCRIPTS['plain.js']?.(join(folder, 'ran', 'package')) ?? '');
    assert.equal((await errorOf(path)).code, 'ENGINE_NOT_BUILT');
    assert.deepEqual(await readdir(join(folder, 'ran')), []);
  });

  test('without another path it is where set-up puts what it builds', () => {
    assert.equal(addonPath('/given.node'), '/given.node');
    assert.equal(BUILT_ADDON, engineAddonPath(PACKAGE_ROOT));
  });

  test('the scripts would leave their mark if they ran', async () => {
    const { execFileSync } = await import('node:child_process');
    const mark = join(folder, 'ran', 'proof');
    await writeFile(join(folder, 'proof.cjs'), SCRIPTS['common.cjs']?.(mark) ?? '');
    execFileSync(process.execPath, [join(folder, 'proof.cjs')]);
    assert.deepEqual(await readdir(join(folder, 'ran')), ['proof']);
  });
});
