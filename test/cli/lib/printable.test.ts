import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { printable } from '../../../cli/lib/printable.ts';

const TERMINAL = fileURLToPath(new URL('../../../cli/lib/terminal.ts', import.meta.url));

test('escape sequences, carriage returns and characters that turn text around are shown, not obeyed', () => {
  assert.equal(printable('\u001b]52;c;ZXZpbA==\u0007'), '\\u001b]52;c;ZXZpbA==\\u0007');
  assert.equal(printable('done\rfake'), 'done\\u000dfake');
  assert.equal(printable('\u009b31m \u202egnp.exe'), '\\u009b31m \\u202egnp.exe');
});

test('lines, tabs, emoji and every script stay as they are', () => {
  const text = 'a\tb\nc 数据 ไทย עברית 🙂 é';
  assert.equal(printable(text), text);
  assert.equal(printable('a\r\nb'), 'a\nb');
});

test('JSON stays JSON', () => {
  const value = { text: 'x\u009by\u202ez\u001b' };
  assert.deepEqual(JSON.parse(printable(JSON.stringify(value))), value);
});

test('everything the command writes passes through it', () => {
  const script = `import { print, say, StatusLine } from ${JSON.stringify(TERMINAL)};
    print('a\\u001b[2Jb'); say('c\\u001b[2Jd'); new StatusLine().line('e\\u001b[2Jf');`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
  });
  assert.equal(stdout, 'a\\u001b[2Jb\n');
  assert.match(stderr, /c\\u001b\[2Jd\ne\\u001b\[2Jf\n/);
});
