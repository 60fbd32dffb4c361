import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { withLock } from '../../../runtime/bootstrap/lock.mjs';
import { isRunning, processSpace, processStart } from '../../../runtime/bootstrap/process-identity.mjs';
import { ROOT, scratch } from './support.ts';

/** Above every process id that Linux and macOS hand out. */
const NO_SUCH_PID = 2 ** 30;
const LOCK = path.join(ROOT, 'runtime/bootstrap/lock.mjs');

const lockFile = async (t: TestContext): Promise<string> => path.join(await scratch(t), 'lock');

const note = async (changes: object): Promise<string> => {
  const own = { pid: process.pid, start: await processStart(process.pid), host: os.hostname() };
  return JSON.stringify({ token: 'another', ...own, space: processSpace(), ...changes });
};

/** As a jump of the clock by 61 seconds and a stopped timer make it look. */
async function age(file: string): Promise<void> {
  const past = new Date(Date.now() - 3_600_000);
  await utimes(file, past, past);
}

/** Whether the lock can be had within two seconds. */
async function canTake(file: string, staleMs?: number): Promise<boolean> {
  const signal = AbortSignal.timeout(2_000);
  return await withLock(
    file,
    { signal, ...(staleMs === undefined ? {} : { staleMs }) },
    async () => true,
  ).catch(() => false);
}

/** A process of its own that holds the lock until it is killed. */
async function holder(t: TestContext, file: string): Promise<number> {
  const script = `import { withLock } from ${JSON.stringify(LOCK)};
    await withLock(${JSON.stringify(file)}, {}, async () => { console.log('has it'); await new Promise((done) => setTimeout(done, 600_000)); });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child.pid ?? 0;
}

test('a lock of a living process is waited for', async (t) => {
  const file = await lockFile(t);
  const order: string[] = [];
  const first = withLock(file, {}, async () => {
    await sleep(100);
    order.push('first');
  });
  await sleep(20);
  const waited: string[] = [];
  await withLock(file, { onWait: (who) => waited.push(who) }, async () => order.push('second'));
  await first;
  assert.deepEqual(order, ['first', 'second']);
  assert.deepEqual(waited, [`process ${process.pid} on ${os.hostname()}`]);
});

test('a holder that is stopped keeps its lock, however old it looks', async (t) => {
  const file = await lockFile(t);
  const pid = await holder(t, file);
  process.kill(pid, 'SIGSTOP');
  await age(file);
  assert.equal(await canTake(file, 100), false);
  process.kill(pid, 'SIGCONT');
  assert.equal(await canTake(file, 100), false);
});

test('a killed holder is succeeded at once, and so is one whose number another process has now', async (t) => {
  const file = await lockFile(t);
  const pid = await holder(t, file);
  process.kill(pid, 'SIGKILL');
  assert.equal(await canTake(file), true);
  await writeFile(file, await note({ pid: NO_SUCH_PID }));
  assert.equal(await canTake(file), true);
  await writeFile(file, await note({ start: '1' }));
  assert.equal(await canTake(file), true);
});

test('a holder elsewhere is judged by what is seen of it, not by the clock', async (t) => {
  const file = await lockFile(t);
  await writeFile(file, await note({ host: 'elsewhere', space: 'elsewhere' }));
  await age(file);
  assert.equal(await canTake(file), false, 'old by the clock, but seen for two seconds only');
  const alive = setInterval(() => void utimes(file, new Date(), new Date()), 50);
  assert.equal(await canTake(file, 500), false, 'it refreshes its lock');
  clearInterval(alive);
  assert.equal(await canTake(file, 500), true, 'it does not');
  await writeFile(file, '{"pid"');
  assert.equal(await canTake(file, 500), true, 'a torn one is nobody’s');
});

test('release and refresh leave a successor’s lock alone', async (t) => {
  const file = await lockFile(t);
  await withLock(file, {}, async () => {
    // Somebody elsewhere gave this process up.
    await writeFile(file, await note({}));
    await age(file);
  });
  assert.match(await readFile(file, 'utf8'), /another/);
  assert.ok((await stat(file)).mtimeMs < Date.now() - 3_000_000);
});

test('many who find a dead holder’s lock get it one after the other', async (t) => {
  const file = await lockFile(t);
  await writeFile(file, await note({ pid: NO_SUCH_PID }));
  let [inside, most, served] = [0, 0, 0];
  const one = async (): Promise<void> => {
    inside += 1;
    most = Math.max(most, inside);
    await sleep(5);
    inside -= 1;
    served += 1;
  };
  await Promise.all(Array.from({ length: 6 }, async () => await withLock(file, {}, one)));
  assert.deepEqual([most, served], [1, 6]);
});

test('a process is the same only with the same start', async () => {
  const start = await processStart(process.pid);
  assert.ok(await isRunning(process.pid, start));
  assert.ok(await isRunning(process.pid, null));
  assert.ok(!(await isRunning(process.pid, '1')));
  assert.ok(!(await isRunning(NO_SUCH_PID, null)));
});

test('a process that has ended runs no more, even while nobody waits for it', async (t) => {
  // The shell becomes a program that never asks how its child ended; it has become one once it repeats its input.
  const parent = spawn('sh', ['-c', 'sleep 600 & echo $!; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => parent.kill('SIGKILL'));
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(String(line).trim());
  parent.stdin.write('repeat\n');
  await once(parent.stdout, 'data');
  process.kill(pid, 'SIGKILL');
  while ((await processStart(pid)) !== null) await sleep(10);
  assert.ok(process.kill(pid, 0), 'its number is still taken');
  assert.equal(await isRunning(pid, null), process.platform !== 'linux');
});
