/** The program behind `npm start`, run to its end in a folder of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { ROOT } from './needs.ts';
import { disown, own } from './processes.ts';

/** Nobody listens on this port: what asks a proxy for the way to the server never arrives. */
const NO_PROXY_THERE = 'http://127.0.0.1:9';

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  /** Both streams. */
  readonly all: string;
}

export interface Start {
  /** Home folder of the product, and the working directory. */
  readonly home: string;
  /** The Temporal CLI. */
  readonly cliPath: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs it; nothing that the test inherits points it to another server. */
export async function start({ home, cliPath, args, env = {} }: Start): Promise<Ran> {
  const isForeign = (name: string) => name.startsWith('TEMPORAL_') || name === 'NODE_TEST_CONTEXT';
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !isForeign(name)));
  const child = spawn('node', [join(ROOT, 'runtime/bootstrap/start.mjs'), ...args], {
    cwd: home,
    env: {
      ...inherited,
      INIT_CWD: home,
      ESCADA_HOME: home,
      TEMPORAL_CLI_PATH: cliPath,
      TEMPORAL_CONFIG_FILE: join(home, 'none.toml'),
      http_proxy: NO_PROXY_THERE,
      https_proxy: NO_PROXY_THERE,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  if (child.pid !== undefined) own(child.pid);
  let [stdout, all] = ['', ''];
  child.stdout.on('data', (piece) => (stdout += String(piece)));
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece) => (all += String(piece)));
  const [code] = (await once(child, 'close')) as [number | null];
  if (child.pid !== undefined) disown(child.pid);
  return { code, stdout, all };
}
