import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { cutLog, lastWord, tailOf } from '../../../runtime/log-file.ts';
import { WorkerProcess, workerLog } from '../../../cli/lib/worker-process.ts';

suite("a command's worker", () => {
  let root: string;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'escada-worker-'));
  });
  after(async () => await rm(root, { recursive: true, force: true }));

  /** A worker whose program is a piece of JavaScript. */
  async function start(name: string, program: string, restartMs: number) {
    const restarts: string[] = [];
    const logPath = join(root, name, 'worker.log');
    const worker = await WorkerProcess.start({
      env: process.env,
      logPath,
      onRestart: (why) => restarts.push(why),
      command: [process.execPath, '-e', program],
      restartMs,
    });
    return { worker, restarts, logPath };
  }

  test('that keeps dying is given up: the failure says what it said last, without a stack trace', async () => {
    const program = "console.log('starting'); throw new Error('the port is on fire')";
    const { worker, restarts } = await start('dying', program, 5);
    await assert.rejects(worker.failed, {
      code: 'WORKER_FAILED',
      message:
        /^the worker ended \(exit 1\): Error: the port is on fire\. It was started 5 times in a row .* Its log: /,
    });
    assert.equal(restarts.length, 4);
    for (const why of restarts)
      assert.match(why, /^the worker ended \(exit 1\): Error: the port is on fire\n/);
    await worker.stop();
  });

  test('that cannot even be started is given up as well', async () => {
    const worker = await WorkerProcess.start({
      env: process.env,
      logPath: join(root, 'none', 'worker.log'),
      onRestart: () => undefined,
      command: [join(root, 'no-such-program')],
      restartMs: 1,
    });
    await assert.rejects(worker.failed, { code: 'WORKER_FAILED', message: /ENOENT/ });
    await worker.stop();
  });

  test('is not started again once the command stops', async () => {
    const { worker, restarts, logPath } = await start('stopped', "console.log('up'); process.exit(3)", 300);
    while (restarts.length === 0) await sleep(10);
    await worker.stop();
    await sleep(1000);
    assert.equal(await readFile(logPath, 'utf8'), 'up\n');
  });

  test('leaves logs of a bounded number', async () => {
    const logs = join(root, 'many', 'logs');
    await mkdir(logs, { recursive: true });
    for (let pid = 1; pid <= 14; pid++) {
      await writeFile(join(logs, `worker-${pid}.log`), '');
      await utimes(join(logs, `worker-${pid}.log`), pid, pid);
    }
    await workerLog(join(root, 'many'));
    const left = (await readdir(logs)).map((name) => Number(/\d+/.exec(name)?.[0])).sort((a, b) => a - b);
    assert.deepEqual(left, [5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
  });

  test('a log that has grown too long is cut, and its end is still found', async () => {
    const path = join(root, 'long.log');
    await writeFile(path, 'x'.repeat(2000));
    await cutLog(path, 1000);
    assert.equal(await readFile(path, 'utf8'), '');
    assert.equal((await readFile(`${path}.1`)).length, 2000);
    await writeFile(path, 'afterwards\n');
    assert.equal(tailOf(path, 1500), 'afterwards\n');
  });

  test('what it said last: a message, no frame of a stack', () => {
    const trace =
      'up\nfile:///x/y.ts:3\n  throw e;\n        ^\n\nError: it broke\n    at f (file:///x)\n\nNode.js v22\n';
    assert.equal(lastWord(trace), 'Error: it broke');
    const coded = 'worker: SERVER_UNREACHABLE: none';
    assert.equal(lastWord(`${coded}\nWARN an rpc errored\nbye\n`), coded);
    assert.equal(lastWord('\u001b[31mError: red\u001b[0m\n'), 'Error: red');
    assert.equal(lastWord('\n\n'), null);
  });
});
