import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { ensureBrowser, findBrowser } from '../../../tools/test/browser.mjs';
import { silentProgress } from '../../../runtime/bootstrap/progress.mjs';
import { program, scratch } from '../../runtime/bootstrap/support.ts';

const progress = silentProgress;

test('a browser is found by CHROMIUM_PATH, then on PATH', async (t) => {
  const folder = await scratch(t);
  const chromium = await program(folder, 'chromium', 'exit 0');
  const other = await program(path.join(folder, 'other'), 'my-browser', 'exit 0');
  assert.equal(await findBrowser({ PATH: folder }), chromium);
  assert.equal(await findBrowser({ PATH: folder, CHROMIUM_PATH: other }), other);
  assert.equal(await findBrowser({ PATH: path.join(folder, 'none') }), null);
});

test('a CHROMIUM_PATH that is no program is named', async (t) => {
  const file = path.join(await scratch(t), 'gone');
  await assert.rejects(findBrowser({ PATH: '', CHROMIUM_PATH: file }), {
    code: 'SETUP_BROWSER',
    exitCode: 2,
    message: `CHROMIUM_PATH is ${file}, which is not a program that can be run.`,
  });
});

test('root installs the package, and only the package', async (t) => {
  const folder = await scratch(t);
  const [log, browser] = [path.join(folder, 'log'), path.join(folder, 'chromium')];
  const script = `echo "$@" >> ${log}; if [ "$1" = install ]; then printf '#!/bin/sh\\n' > ${browser}; /bin/chmod +x ${browser}; fi`;
  await program(folder, 'apt-get', script);
  const env = { PATH: folder };
  assert.equal(await ensureBrowser({ progress, env, userId: 0 }), browser);
  assert.equal(await readFile(log, 'utf8'), 'update -q\ninstall -qy --no-install-recommends chromium\n');
  await ensureBrowser({ progress, env, userId: 0 });
  assert.equal(
    (await readFile(log, 'utf8')).split('\n').length,
    3,
    'one that is there is not installed again',
  );
});

test('anyone else reads what to install', async (t) => {
  const folder = await scratch(t);
  await program(folder, 'apt-get', 'exit 1');
  await assert.rejects(ensureBrowser({ progress, env: { PATH: folder }, userId: 1000 }), (error: Error) => {
    assert.match(error.message, /There is no Chromium on PATH/);
    assert.match(
      (error as Error & { advice: string[] }).advice.join(' '),
      /apt-get install chromium.*CHROMIUM_PATH/,
    );
    return true;
  });
  await assert.rejects(ensureBrowser({ progress, env: { PATH: folder }, userId: 0 }), {
    code: 'SETUP_COMMAND_FAILED',
  });
});
