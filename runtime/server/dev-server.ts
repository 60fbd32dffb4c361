import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder } from '../../plugins/sdk/publish.ts';
import { EscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import { alone, claim, claimants, type Claim } from '../claims.ts';
import { isAlive } from '../process-id.ts';
import { launchServer, type LaunchedServer } from './launch-server.ts';
import { keepShort } from '../log-file.ts';
import { answers, endpoints } from './ports.ts';
import { readNote, removeNote, serverFiles, type ServerFiles, type ServerNote } from './server-note.ts';
import { stopById } from './stop-process.ts';

export interface DevServer {
  readonly address: string;
  readonly uiUrl: string;
  readonly pid: number;
  /** Whether it ran already. */
  readonly shared: boolean;
  /** Rejects when the server ends by itself. */
  readonly died: Promise<never>;
  /** Ends the use of it; the last user's call stops the server. */
  stop(): Promise<void>;
}

/** A server that was left half started gets this long. */
const LEFT_TIMEOUT_MS = 20_000;
const WATCH_EVERY_MS = 500;

/**
 * The Temporal server over a SQLite file, with its Web UI: the one that runs, or a new one. What it has acknowledged
 * survives Ctrl-C, a crash and kill -9. It belongs to all who use it and ends with the last of them, whichever way each
 * of them ends. Throws `SERVER_PORT_TAKEN`, `SERVER_RUNS_ELSEWHERE`, `SERVER_UNREACHABLE`.
 */
export async function startDevServer(options: {
  readonly cliPath: string;
  readonly databasePath: string;
  readonly port?: number;
}): Promise<DevServer> {
  const files = serverFiles(options.databasePath);
  await makeFolder(files.folder);
  return await alone(files.change, async () => {
    const use = await claim(files.users);
    try {
      const running = await findRunning(files);
      if (running === null)
        return toDevServer(files, use, await launchServer(options.cliPath, files, options.port), false);
      if (options.port !== undefined && options.port !== running.port) throw elsewhere(running, options.port);
      return toDevServer(files, use, { ...running, died: diedLater(running, files) }, true);
    } catch (error) {
      await use.release();
      throw error;
    }
  });
}

/** Address of the server that runs over a database; null when none does. */
export async function runningServer(databasePath: string): Promise<string | null> {
  const note = await readNote(serverFiles(databasePath)).catch(() => null);
  return note === null ? null : endpoints(note.port).address;
}

/** The server that runs. One whose command was killed while it started gets time to, and is stopped when it does not. */
async function findRunning(files: ServerFiles): Promise<ServerNote | null> {
  const deadlineMs = Date.now() + LEFT_TIMEOUT_MS;
  for (;;) {
    const note = await readNote(files);
    if (note === null) return null;
    if (await answers(note.port)) return note;
    if (Date.now() > deadlineMs) {
      await stopById(note);
      return null;
    }
    await sleep(WATCH_EVERY_MS);
  }
}

function toDevServer(files: ServerFiles, use: Claim, server: LaunchedServer, shared: boolean): DevServer {
  const stopCutting = keepShort(files.log);
  // Nobody uses a server that is gone; whoever starts the next one claims again.
  server.died.catch(async () => await use.release()).catch(() => undefined);
  const stop = async () => {
    stopCutting();
    await alone(files.change, async () => {
      await use.release();
      const noted = await readNote(files);
      // Where the folder was emptied meanwhile, those who claim now use another server.
      const others = noted?.birth === server.birth ? await claimants(files.users) : [];
      if (others.length > 0) return;
      await stopById(server);
      if (noted === null || noted.birth === server.birth) await removeNote(files);
    });
  };
  return { ...endpoints(server.port), pid: server.pid, shared, died: server.died, stop };
}

/** Rejects when a server that is no child of this process has ended. */
function diedLater(server: ServerNote, files: ServerFiles): Promise<never> {
  const died = new Promise<never>((_, reject) => {
    const timer = setInterval(() => {
      const look = async () => {
        if (await isAlive(server)) return;
        clearInterval(timer);
        const message = `The Temporal server (process ${server.pid}) ended. Its log: ${files.log}`;
        reject(new EscadaFailure({ code: 'SERVER_UNREACHABLE', message }));
      };
      void look().catch(() => undefined);
    }, WATCH_EVERY_MS);
    timer.unref();
  });
  died.catch(() => undefined);
  return died;
}

function elsewhere({ pid, port }: ServerNote, wanted: number): EscadaFailure {
  return new EscadaFailure({
    code: 'SERVER_RUNS_ELSEWHERE',
    message: `A Temporal server runs over this database already (process ${pid}), on port ${port}, not on ${wanted}.`,
    fields: { port },
  });
}
