/** A copy of the tree that a page's commands run in, with a terminal for what stays. */
import { spawn, type ChildProcess } from 'node:child_process';
import { cp, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { EscadaClient } from '../../../client.ts';
import { runningServer } from '../../../runtime/server/dev-server.ts';
import { readSettings } from '../../../runtime/settings.ts';
import { ROOT, TINY_MODEL, findTemporalCli } from '../../whole/support/needs.ts';
import { own, resultOf, until, untilNoneLeft, type CommandResult } from '../../whole/support/processes.ts';

const LEFT_OUT = /^(node_modules|target|dist|\.git|\.escada|reports)$/;

/** Rows that pages take for granted: reviews with their label, by a rule. */
function reviews(): string {
  const things = ['film', 'book', 'song', 'meal', 'hotel', 'phone', 'coat', 'lamp', 'park', 'tour'];
  const good = ['lovely', 'splendid', 'delightful', 'superb', 'charming', 'brilliant'];
  const bad = ['dreadful', 'boring', 'broken', 'awful', 'tiresome', 'faulty'];
  const rows = things.flatMap((thing) => [
    ...good.map((word) => `"A ${word} ${thing}, ${word} to the end.",positive`),
    ...bad.map((word) => `"A ${word} ${thing}, ${word} to the end.",negative`),
  ]);
  return `text,label\n${rows.join('\n')}\n`;
}

export class Project {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly #terminals: ChildProcess[] = [];

  private constructor(folder: string, cliPath: string) {
    this.folder = folder;
    const isForeign = (name: string) => /^(TEMPORAL_|npm_)/.test(name) || name === 'NODE_TEST_CONTEXT';
    const inherited = Object.entries(process.env).filter(([name]) => !isForeign(name));
    this.env = {
      ...Object.fromEntries(inherited),
      // The default; named, so that the processes of this project can be distinguished from others.
      ESCADA_HOME: join(folder, '.escada'),
      ESCADA_MODEL_PATH: TINY_MODEL,
      TEMPORAL_CLI_PATH: cliPath,
      TEMPORAL_CONFIG_FILE: join(folder, 'none.toml'),
    };
  }

  static async open(): Promise<Project> {
    const cliPath = await findTemporalCli();
    if (cliPath === null) throw new Error('no Temporal CLI');
    const folder = await realpath(await mkdtemp(join(tmpdir(), 'escada-page-')));
    const filter = (source: string) => !LEFT_OUT.test(relative(ROOT, source));
    await cp(ROOT, folder, { recursive: true, filter });
    await symlink(await realpath(join(ROOT, 'node_modules')), join(folder, 'node_modules'));
    const project = new Project(folder, cliPath);
    await project.write('reviews.csv', reviews());
    return project;
  }

  async write(name: string, text: string): Promise<void> {
    await writeFile(join(this.folder, name), text);
  }

  /** Runs a line as a person does, by a shell. The set-up of `npm start` takes no other model than its own. */
  async run(line: string): Promise<CommandResult> {
    const { ESCADA_MODEL_PATH: _tiny, ...own } = this.env;
    const child = spawn('bash', ['-c', line], {
      cwd: this.folder,
      env: line.startsWith('npm start') ? own : this.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return await resultOf(child);
  }

  /** Leaves a line running, and waits until what it brings is there. */
  async stay(line: string): Promise<void> {
    let printed = '';
    const child = spawn('bash', ['-c', `exec ${line}`], { cwd: this.folder, env: this.env, detached: true });
    if (child.pid !== undefined) own(child.pid);
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (piece) => (printed += String(piece)));
    this.#terminals.push(child);
    const ready = line.includes('escada -- server')
      ? async () => (await this.#address()) ?? undefined
      : async () => await this.#polled();
    await until(`"${line}" to be ready`, async () => {
      if (child.exitCode !== null) throw new Error(`"${line}" ended with ${child.exitCode}:\n${printed}`);
      return await ready();
    });
  }

  async #address(): Promise<string | null> {
    return await runningServer(join(this.folder, '.escada/temporal.db'));
  }

  async #withClient<T>(use: (client: EscadaClient) => Promise<T>): Promise<T> {
    process.env['TEMPORAL_ADDRESS'] = (await this.#address()) ?? '';
    process.env['TEMPORAL_CONFIG_FILE'] = join(this.folder, 'none.toml');
    const client = await EscadaClient.connect(readSettings(this.env));
    return await use(client).finally(async () => await client.close());
  }

  async #polled(): Promise<true | undefined> {
    return await this.#withClient(
      async (client) =>
        await client.requireWorker().then(
          () => true as const,
          () => undefined,
        ),
    );
  }

  /** Waits until a run has ended: a page's reader waits, too. */
  async ended(workflowId: string): Promise<void> {
    await this.#withClient(async (client) => {
      await client.temporal.workflow.getHandle(workflowId).result();
    });
  }

  /** Ends what stays, the newest first, as Ctrl-C in its terminal does, and removes the copy. */
  async close(): Promise<void> {
    for (const { pid, exitCode } of this.#terminals.reverse()) {
      if (pid !== undefined && exitCode === null) process.kill(-pid, 'SIGINT');
    }
    await untilNoneLeft(join(this.folder, '.escada'));
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
