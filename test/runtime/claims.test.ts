import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { alone, claim, claimAlone, claimants } from '../../runtime/claims.ts';
import { startByPs } from '../../runtime/bootstrap/process-identity.mjs';
import { identify, isAlive } from '../../runtime/process-id.ts';

const CLAIMS = fileURLToPath(new URL('../../runtime/claims.ts', import.meta.url));

suite('claims', () => {
  let root: string;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'escada-claims-'));
  });
  after(async () => await rm(root, { recursive: true, force: true }));

  /** A process that runs a program over the claims of `folder`, and says `ready` when it is so far. */
  async function other(folder: string, program: string) {
    const code = `const { claim, alone } = await import(${JSON.stringify(CLAIMS)}); const folder = ${JSON.stringify(folder)}; ${program}`;
    const flags = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', code];
    const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    return child;
  }
  const HOLD = "await claim(folder); console.log('ready'); setInterval(() => {}, 1000);";

  test('a process is not another one that has its pid', async () => {
    const self = await identify(process.pid);
    assert.ok(self);
    assert.equal(await isAlive(self), true);
    assert.equal(await isAlive({ ...self, birth: '0'.repeat(16) }), false);
  });

  test('by ps, too, a process is the same for whoever asks, in every time zone and language', async () => {
    const { TZ, LC_ALL } = process.env;
    const here = await startByPs(process.pid);
    Object.assign(process.env, { TZ: 'Asia/Tokyo', LC_ALL: 'de_DE.UTF-8' });
    const there = await startByPs(process.pid).finally(() => {
      for (const [name, value] of Object.entries({ TZ, LC_ALL }))
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
    });
    assert.ok(here);
    assert.equal(there, here);
  });

  test('users are counted; one that was killed counts no more and leaves nothing', async () => {
    const folder = join(root, 'users');
    const mine = await claim(folder);
    const child = await other(folder, HOLD);
    assert.deepEqual((await claimants(folder)).map(({ pid }) => pid).sort(), [process.pid, child.pid].sort());
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    assert.deepEqual(
      (await claimants(folder)).map(({ pid }) => pid),
      [process.pid],
    );
    assert.equal((await readdir(folder)).length, 1);
    await mine.release();
    assert.deepEqual(await readdir(folder), []);
  });

  test('a file that is no claim, and a claim under a reused pid, hold nobody up', async () => {
    const folder = join(root, 'odd');
    await mkdir(folder);
    await writeFile(join(folder, 'torn'), '');
    const { ino } = await stat(folder);
    await writeFile(join(folder, `${process.pid}-${'a'.repeat(16)}-${ino}-00000000`), '');
    await (await claimAlone(folder)).release();
    assert.deepEqual(await readdir(folder), ['torn']);
  });

  test('a copy of the folder holds no claims', async () => {
    const held = await claimAlone(join(root, 'original'));
    await cp(join(root, 'original'), join(root, 'copy'), { recursive: true });
    await (await claimAlone(join(root, 'copy'))).release();
    assert.equal((await claimants(join(root, 'original'))).length, 1);
    await held.release();
  });

  test('one at a time, within a process and between processes', async () => {
    const folder = join(root, 'alone');
    let inside = 0;
    const enter = async () => {
      assert.equal(++inside, 1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      inside--;
    };
    await Promise.all(Array.from({ length: 4 }, async () => await alone(folder, enter)));
    const holding = await other(
      folder,
      "await alone(folder, async () => { console.log('ready'); await new Promise((go) => setTimeout(go, 60_000)); });",
    );
    let waitedFor: number | undefined;
    const entering = claimAlone(folder, { onWait: ({ pid }) => (waitedFor = pid) });
    while (waitedFor === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(waitedFor, holding.pid);
    holding.kill('SIGKILL');
    await (await entering).release();
  });

  test('waiting ends when its signal aborts', async () => {
    const folder = join(root, 'aborted');
    const held = await claimAlone(folder);
    const stop = new AbortController();
    const waiting = claimAlone(folder, {
      signal: stop.signal,
      onWait: () => stop.abort(new Error('enough')),
    });
    await assert.rejects(
      waiting,
      (error: Error) => error.name === 'AbortError' || error.message === 'enough',
    );
    await held.release();
  });
});
