/** The server of a folder: shared by whoever works there, by nobody else, and gone with the last of them. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { get } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { runningServer, startDevServer, type DevServer } from '../../runtime/server/dev-server.ts';
import { identify } from '../../runtime/process-id.ts';
import { findTemporalCli, reasonToSkip, ROOT } from './support/needs.ts';
import { disown, own, until } from './support/processes.ts';

const skip = await reasonToSkip({ procfs: true });

suite('the Temporal server of a folder', { skip }, () => {
  let root: string;
  let cliPath: string;
  // Waiting for a server's end keeps no process running: that is for the commands that wait to do.
  let staying: NodeJS.Timeout;
  before(async () => {
    staying = setInterval(() => undefined, 60_000);
    root = await mkdtemp(join(tmpdir(), 'escada-server-'));
    cliPath = (await findTemporalCli()) ?? '';
  });
  after(async () => {
    clearInterval(staying);
    await rm(root, { recursive: true, force: true, maxRetries: 5 });
  });

  const databaseIn = (name: string) => join(root, name, 'temporal.db');

  async function start(name: string, port?: number): Promise<DevServer> {
    const server = await startDevServer({
      cliPath,
      databasePath: databaseIn(name),
      ...(port === undefined ? {} : { port }),
    });
    own(server.pid);
    return server;
  }

  const runs = async ({ pid }: { pid: number }) => (await identify(pid)) !== null;

  /** Ends a use that is the last one. */
  async function end(server: DevServer): Promise<void> {
    await server.stop();
    assert.equal(await runs(server), false, `server ${server.pid} is left`);
    disown(server.pid);
  }

  /** Another process that uses the server of a folder. */
  async function user(name: string): Promise<{ readonly child: ChildProcess; readonly pid: number }> {
    const options = JSON.stringify({ cliPath, databasePath: databaseIn(name) });
    const code = `const { startDevServer } = await import(${JSON.stringify(join(ROOT, 'runtime/server/dev-server.ts'))});
      const server = await startDevServer(${options}); console.log(server.pid); setInterval(() => {}, 1000);`;
    const flags = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', code];
    const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
    own(child.pid ?? 0);
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const pid = Number(String(line));
    own(pid);
    return { child, pid };
  }

  async function kill(child: ChildProcess): Promise<void> {
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    disown(child.pid ?? 0);
  }

  test('folders with any name: each has its database in itself', async () => {
    const names = ['client #1', 'client #2', 'q?mode=memory', 'p%20q!'];
    for (const name of names) {
      const server = await start(`odd/${name}`);
      const files = await readdir(join(root, 'odd', name));
      await end(server);
      assert.ok(files.includes('temporal.db'), `${name}: ${files.join(', ')}`);
    }
    assert.deepEqual((await readdir(join(root, 'odd'))).sort(), [...names].sort());
  });

  test("a database's own name that is part of a URI is refused", async () => {
    const databasePath = join(root, 'uri', 'a#1.db');
    const refused = { code: 'OUTPUT_NOT_WRITABLE', message: /"a#1\.db" cannot be the name of a database/ };
    await assert.rejects(startDevServer({ cliPath, databasePath }), refused);
  });

  test('two at once in one folder: one server, which the last one stops', async () => {
    const [one, two] = await Promise.all([start('twice'), start('twice')]);
    assert.equal(one.pid, two.pid);
    assert.deepEqual([one.shared, two.shared].sort(), [false, true]);
    await one.stop();
    assert.equal(await runs(two), true);
    await end(two);
  });

  test('`escada server` stays until it is stopped, and takes its server with it', async () => {
    const flags = ['--disable-warning=ExperimentalWarning', join(ROOT, 'cli/main.ts'), 'server'];
    const { TEMPORAL_ADDRESS: _, ...env } = process.env;
    const child = spawn(process.execPath, [...flags, '--db', databaseIn('command')], {
      stdio: 'ignore',
      env: { ...env, TEMPORAL_CLI_PATH: cliPath },
    });
    own(child.pid ?? 0);
    const exited = once(child, 'exit');
    const address = await until('the server to run', async () => {
      if (child.exitCode !== null) throw new Error(`it ended by itself, exit ${child.exitCode}`);
      return (await runningServer(databaseIn('command'))) ?? undefined;
    });
    assert.match(address, /^127\.0\.0\.1:/);
    const server = await start('command');
    assert.equal(server.shared, true);
    await server.stop();
    assert.equal(await runs(server), true);
    child.kill('SIGTERM');
    assert.deepEqual(await exited, [0, null]);
    disown(child.pid ?? 0);
    assert.equal(await runs(server), false);
    disown(server.pid);
  });

  test('two folders: two servers, two ports', async () => {
    const [one, two] = await Promise.all([start('left'), start('right')]);
    assert.notEqual(one.pid, two.pid);
    assert.notEqual(one.address, two.address);
    await Promise.all([end(one), end(two)]);
  });

  test('kill -9 of the command that started it: it stays for the others, the last one stops it', async () => {
    const first = await user('killed');
    const second = await start('killed');
    assert.equal(second.pid, first.pid);
    assert.equal(second.shared, true);
    await kill(first.child);
    assert.equal(await runs(second), true);
    await end(second);
  });

  test('kill -9 of all who use it: it ends by itself', async () => {
    const [first, second] = [await user('orphan'), await user('orphan')];
    assert.equal(second.pid, first.pid);
    await Promise.all([kill(first.child), kill(second.child)]);
    await until('the server to end', async () => ((await runs(first)) ? undefined : true));
    disown(first.pid);
  });

  test('kill -9 of one that shares it leaks no use', async () => {
    const first = await start('leak');
    const second = await user('leak');
    assert.equal(first.pid, second.pid);
    await kill(second.child);
    await end(first);
  });

  test('kill -9 of the server: its users hear of it, and the next start has a new one', async () => {
    const first = await start('server');
    const second = await start('server');
    process.kill(first.pid, 'SIGKILL');
    const ended = { code: 'SERVER_UNREACHABLE', message: /ended.* Its log: / };
    await assert.rejects(first.died, ended);
    await assert.rejects(second.died, ended);
    disown(first.pid);
    const third = await start('server');
    assert.notEqual(third.pid, first.pid);
    await first.stop();
    assert.equal(await runs(third), true);
    await end(third);
  });

  const note = (name: string) => `${databaseIn(name)}.server/note.json`;

  test('a note that names a living process of another program: not adopted, not signalled', async () => {
    const innocent = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    const server = await start('reused');
    const good = JSON.parse(await readFile(note('reused'), 'utf8')) as object;
    await end(server);
    await writeFile(note('reused'), JSON.stringify({ ...good, pid: innocent.pid }));
    const next = await start('reused');
    assert.notEqual(next.pid, innocent.pid);
    await end(next);
    assert.equal(innocent.exitCode ?? innocent.signalCode, null);
    await kill(innocent);
  });

  test('a copy of the folder has a server of its own', async () => {
    const server = await start('original');
    await cp(join(root, 'original'), join(root, 'copy'), { recursive: true });
    const other = await start('copy');
    assert.notEqual(other.pid, server.pid);
    await end(other);
    assert.equal(await runs(server), true);
    await end(server);
  });

  test('a port that somebody else has: refused when it was asked for', async () => {
    const stranger = createServer();
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
    const { port } = stranger.address() as AddressInfo;
    const taken = { code: 'SERVER_PORT_TAKEN', message: new RegExp(`Port ${port}, or \\d+ for the Web UI`) };
    await assert.rejects(start('port', port), taken);
    stranger.close();
    const server = await start('port');
    const wrong = { code: 'SERVER_RUNS_ELSEWHERE', message: new RegExp(`not on ${port}`) };
    await assert.rejects(start('port', port), wrong);
    await end(server);
  });

  test('a web page whose name was made to lead to this machine is refused', async () => {
    const server = await start('hosts');
    // The Web UI passes such requests on by itself.
    const ports = listeningPorts(server.pid).filter((port) => !server.uiUrl.endsWith(`:${port}`));
    const statuses = async (host: string) =>
      await Promise.all(ports.map(async (port) => await statusFor(port, host)));
    // The one port that serves HTTP for programs; the server does not say which it is.
    const api = await until('the API for programs', async () => {
      const at = (await statuses('127.0.0.1')).indexOf(200);
      return at === -1 ? undefined : at;
    });
    assert.equal((await statuses('evil.example'))[api], 403);
    assert.equal((await statuses('localhost:7243'))[api], 200);
    await end(server);
  });
});

/** Ports on which a process listens. Linux only. */
function listeningPorts(pid: number): number[] {
  const sockets = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode]) => state === '0A' && sockets.includes(`socket:[${inode}]`))
    .map(([, local]) => Number.parseInt(local?.split(':')[1] ?? '', 16));
}

/** HTTP status of the list of namespaces; null for a port that speaks something else. */
async function statusFor(port: number, host: string): Promise<number | null> {
  const path = '/api/v1/namespaces?pageSize=1';
  return await new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path, headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode ?? null);
    });
    request.setTimeout(5000, () => request.destroy());
    request.once('error', () => resolve(null));
  });
}
