/** What a run must survive: kills, frozen processes, a full disk, a clock that jumps, a rival, a hostile neighbour. */
import { spawnSync } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ErrorCode } from '../../schemas/errors/error-codes.ts';
import type { Place } from '../whole/support/place.ts';
import { engineOf } from '../whole/support/processes.ts';
import type { TestServer } from '../whole/support/server.ts';
import { tinySpec } from '../whole/support/specs.ts';

export interface Scene {
  readonly server: TestServer;
  readonly place: Place;
}

export interface Fault {
  readonly name: string;
  /** Before the worker starts. */
  prepare?(scene: Scene): Promise<void>;
  /** Breaks something and, where a service manager or an administrator would, mends it again. */
  strike(scene: Scene): Promise<void>;
  /** After the run, before the place is closed. */
  clear?(scene: Scene): Promise<void>;
  /** A code with which the run, or a rung of it, may end; the same spec must then succeed when it is started again. */
  readonly mayFailWith?: ErrorCode;
  /** Why it cannot be done on this machine; null when it can. */
  readonly absent: string | null;
}

/** Longer than the longest heartbeat time-out (30 s), so that the server gives frozen steps to somebody else. */
const FREEZE_MS = 60_000;
const RIVAL_MS = 40_000;
const FULL_DISK_MS = 6000;
/** Room for a tiny run's artifacts and more. */
const STORE_SIZE = '64m';

async function frozen(pid: number, millis: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  await sleep(millis);
  process.kill(pid, 'SIGCONT');
}

const killWorker: Fault = {
  name: 'worker killed',
  absent: null,
  async strike({ place }) {
    await place.killWorker();
    await place.startWorker();
  },
};

/** The trainer is started again by its worker. Between two steps there may be none: then the trial is a calm one. */
const killTrainer: Fault = {
  name: 'trainer killed',
  absent: null,
  async strike({ place }) {
    const engine = engineOf(place.home);
    if (engine !== undefined) process.kill(engine.pid, 'SIGKILL');
  },
};

const killServer: Fault = {
  name: 'server killed',
  absent: null,
  async strike({ server }) {
    await server.kill();
    await sleep(500);
    await server.restart();
  },
};

const freezeWorker: Fault = {
  name: 'worker frozen',
  absent: null,
  strike: async ({ place }) => await frozen(place.workerPid, FREEZE_MS),
};

const freezeServer: Fault = {
  name: 'server frozen',
  absent: null,
  strike: async ({ server }) => await frozen(server.pid, FREEZE_MS),
};

/** The first worker stops in the middle of its steps, a second one gets those of the table engine, then both continue. */
const rival: Fault = {
  name: 'two workers, one frozen',
  absent: null,
  async strike({ place }) {
    await place.startSecondWorker();
    await frozen(place.workerPid, RIVAL_MS);
  },
};

/** Whether a write failed for want of room; throws what else it failed with. */
function isFull(error: NodeJS.ErrnoException): true {
  if (error.code === 'ENOSPC') return true;
  throw error;
}

const mounted = (place: Place): string => join(place.settings.home, 'store');

/** The store's file system has no byte left for a while. */
const fullDisk: Fault = {
  name: 'disk full',
  mayFailWith: 'DISK_FULL',
  absent: process.getuid?.() === 0 ? null : 'a small file system needs the right to mount one (root)',
  async prepare({ place }) {
    await mkdir(mounted(place), { recursive: true });
    const options = ['-t', 'tmpfs', '-o', `size=${STORE_SIZE},mode=0700`, 'escada-chaos', mounted(place)];
    const { status, stderr } = spawnSync('mount', options, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`mount: ${stderr}`);
  },
  async strike({ place }) {
    const ballast = join(mounted(place), 'ballast');
    const piece = Buffer.alloc(1 << 20);
    let full = false;
    while (!full) {
      full = await writeFile(ballast, piece, { flag: 'a' }).then(() => false, isFull);
    }
    await sleep(FULL_DISK_MS);
    await rm(ballast);
  },
  async clear({ place }) {
    await place.stopWorker();
    const { status, stderr } = spawnSync('umount', [mounted(place)], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`umount: ${stderr}`);
  },
};

const CLOCK = fileURLToPath(new URL('./clock.ts', import.meta.url));
const JUMP_MS = 3000;

const clockJump: Fault = {
  name: 'clock jumps by 61 s',
  absent: null,
  async prepare({ place }) {
    place.env['NODE_OPTIONS'] = `--import=${CLOCK}`;
  },
  async strike({ place }) {
    process.kill(place.workerPid, 'SIGWINCH');
    await sleep(JUMP_MS);
    process.kill(place.workerPid, 'SIGWINCH');
  },
};

/** A pattern that takes exponential time in a backtracking engine, on answers of any length. */
const ENDLESS = { name: 'endless', pattern: '^(\\w+\\s?)*$' };

/** Another run on the same worker whose metric never ends. */
const endlessPattern: Fault = {
  name: 'endless pattern',
  absent: null,
  async strike({ place }) {
    const client = await place.client();
    const metrics = { primary: { id: 'voice-rules', with: { rules: [ENDLESS] } } };
    const handle = await client.startAdaptation(tinySpec({ name: 'hostile', metrics, seed: 11 }));
    await handle.result().catch(() => undefined);
  },
};

/** In the order in which trials take them. */
export const FAULTS: readonly Fault[] = [
  killWorker,
  killTrainer,
  killServer,
  fullDisk,
  clockJump,
  endlessPattern,
  rival,
  freezeWorker,
  freezeServer,
];

/** Those that take less than a quarter of a minute. */
export const QUICK_FAULTS: readonly Fault[] = FAULTS.slice(0, 6);
