import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { exists, inFolder, until } from '../support.ts';

const PARENT = fileURLToPath(new URL('../parent.ts', import.meta.url));

suite('orphans', () => {
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    test(`a training engine dies with its worker (${signal})`, async () => {
      await inFolder(async (folder) => {
        const parent = spawn(process.execPath, [PARENT, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
        const [bytes] = (await once(parent.stdout, 'data')) as [Buffer];
        const pid = Number(bytes.toString());
        assert.ok(exists(pid));
        parent.kill(signal);
        await once(parent, 'exit');
        await until(() => !exists(pid), 'the end of the engine');
      });
    });
  }
});
