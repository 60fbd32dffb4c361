import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { startDevServer, type DevServer } from '../../../runtime/server/dev-server.ts';
import { findTemporalCli } from './needs.ts';
import { disown, own, until } from './processes.ts';

/** The Web UI takes the port 1000 above. */
const UI_OFFSET = 1000;

async function listens(port: number): Promise<number | undefined> {
  const probe = createServer();
  return await new Promise((resolve) => {
    probe.once('error', () => resolve(undefined));
    probe.listen(port, '127.0.0.1', () => {
      const taken = (probe.address() as AddressInfo).port;
      probe.close(() => resolve(taken));
    });
  });
}

async function freePort(): Promise<number> {
  return await until('a free port', async () => {
    const port = await listens(0);
    if (port === undefined || port + UI_OFFSET > 65_535) return undefined;
    return (await listens(port + UI_OFFSET)) === undefined ? undefined : port;
  });
}

/** A program that is the Temporal server with settings of its own: the process stays the server's. */
async function configured(
  cliPath: string,
  folder: string,
  config: Readonly<Record<string, string | number>>,
): Promise<string> {
  const path = join(folder, 'temporal-configured');
  const values = Object.entries(config).map(([name, value]) => `--dynamic-config-value '${name}=${value}'`);
  await writeFile(path, `#!/bin/sh\nexec '${cliPath}' "$@" ${values.join(' ')}\n`, { mode: 0o700 });
  return path;
}

/** A real Temporal server over a SQLite file in a folder of its own, on a port of its own. */
export class TestServer {
  readonly folder: string;
  readonly port: number;
  readonly #cliPath: string;
  #server: DevServer | undefined;
  #pid = 0;

  private constructor(folder: string, port: number, cliPath: string) {
    this.folder = folder;
    this.port = port;
    this.#cliPath = cliPath;
  }

  /**
   * Starts one. Clients and workers that this process starts from here on find it by the environment. `config` are
   * dynamic settings of the server itself, by name.
   */
  static async start(config: Readonly<Record<string, string | number>> = {}): Promise<TestServer> {
    const found = await findTemporalCli();
    if (found === null) throw new Error('no Temporal CLI');
    const folder = await mkdtemp(join(tmpdir(), 'escada-whole-'));
    const cliPath = Object.keys(config).length === 0 ? found : await configured(found, folder, config);
    const server = new TestServer(folder, await freePort(), cliPath);
    for (const name of Object.keys(process.env).filter((one) => one.startsWith('TEMPORAL_')))
      delete process.env[name];
    process.env['TEMPORAL_ADDRESS'] = server.address;
    process.env['TEMPORAL_CONFIG_FILE'] = join(server.folder, 'none.toml');
    try {
      await server.restart();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Process id of the server. */
  get pid(): number {
    return this.#pid;
  }

  get #databasePath(): string {
    return join(this.folder, 'temporal.db');
  }

  /** Starts the server again over the same database and waits until it answers calls. */
  async restart(): Promise<void> {
    this.#server = await startDevServer({
      cliPath: this.#cliPath,
      databasePath: this.#databasePath,
      port: this.port,
    });
    this.#pid = this.#server.pid;
    own(this.#pid);
    const connection = await Connection.connect({ address: this.address, connectTimeout: '60s' });
    await until('the namespace', async () => {
      const request = { namespace: 'default' };
      return await connection.workflowService.describeNamespace(request).catch(() => undefined);
    });
    await connection.close();
  }

  /** kill -9. */
  async kill(): Promise<void> {
    const died = this.#server?.died.catch(() => undefined);
    process.kill(this.#pid, 'SIGKILL');
    await died;
    disown(this.#pid);
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
    disown(this.#pid);
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Runs the Temporal command line against this server, as a user would. */
  async temporal(...args: string[]): Promise<{ readonly code: number | null; readonly output: string }> {
    const child = spawn(this.#cliPath, [...args, '--address', this.address], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (piece) => (output += String(piece)));
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return { code, output };
  }
}
