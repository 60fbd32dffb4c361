import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { suite, test } from 'node:test';
import { promisify } from 'node:util';
import { OWNER, ownedName, ownerState } from '../../../plugins/sdk/owner.ts';

const NODE = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e'];
const SAY = "import { OWNER } from './plugins/sdk/owner.ts'; console.log(OWNER);";

suite('owners of files', () => {
  test('this process is alive, whatever is around its token', async () => {
    assert.equal(await ownerState(OWNER), 'alive');
    assert.equal(await ownerState(ownedName('.tmp-')), 'alive');
    assert.notEqual(ownedName(''), ownedName(''));
  });

  test('another process is alive until it ends, also when it is stopped, and dead afterwards', async () => {
    const child = spawn(process.execPath, [...NODE, `${SAY} setInterval(() => 0, 1000);`]);
    const [token] = (await once(child.stdout, 'data')) as [Buffer];
    assert.equal(await ownerState(String(token).trim()), 'alive');
    child.kill('SIGSTOP');
    assert.equal(await ownerState(String(token).trim()), 'alive');
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(await ownerState(String(token).trim()), 'dead');
    const { stdout } = await promisify(execFile)(process.execPath, [...NODE, SAY]);
    assert.equal(await ownerState(stdout.trim()), 'dead');
  });

  test('a process number that was given again is somebody else', async () => {
    const [machine = '', pid = '', start = ''] = OWNER.split('-');
    assert.equal(
      await ownerState(`${machine}-${pid}-${Number(start) + 1}`),
      start === '0' ? 'alive' : 'dead',
    );
    const boot = machine.endsWith('0') ? '1' : '0';
    assert.equal(
      await ownerState(`${machine.slice(0, -1)}${boot}-${pid}-${start}`),
      'dead',
      'before a restart',
    );
  });

  test('of another machine, or without a token, nobody knows', async () => {
    const other = OWNER.startsWith('0') ? '1' : '0';
    assert.equal(await ownerState(other + OWNER.slice(1)), 'unknown');
    assert.equal(await ownerState('.tmp-whatever'), 'unknown');
  });
});
