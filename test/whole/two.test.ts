/** Several `npm start` at the same time, with the tiny random model: `npm run accept:two -- --tiny`. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { reasonToSkip, ROOT } from './support/needs.ts';

const skip = await reasonToSkip({ engine: true });

test('commands that run at once all end well, and none touches what is another one’s', { skip }, async () => {
  const args = ['--disable-warning=ExperimentalWarning', join(ROOT, 'tools/acceptance/two.ts'), '--tiny'];
  const said = await new Promise<{ readonly passed: boolean; readonly text: string }>((resolve) =>
    execFile(process.execPath, args, { maxBuffer: 1 << 24 }, (error, stdout, stderr) =>
      resolve({ passed: error === null, text: `${stdout}\n${stderr}` }),
    ),
  );
  assert.ok(said.passed, said.text);
  assert.equal((said.text.match(/PASS/g) ?? []).length, 7);
});
