import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Duplex, Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { moduleUrl } from '../../sdk/package-paths.ts';
import { childEnvironment } from '../../sdk/process/child-environment.ts';
import { closedOf, holdHandles, type SpawnedChild } from '../../sdk/process/child.ts';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import { BUILT_ADDON } from './addon-path.ts';
import { BUILD_ENGINE } from '../../../schemas/errors/hints.ts';

const CHILD = fileURLToPath(moduleUrl('./child.ts', import.meta.url));

/** Path of the native engine: option, then environment, then the place where the build puts it. */
export function addonPath(given?: string): string {
  return given ?? process.env['ESCADA_ENGINE_ADDON'] ?? BUILT_ADDON;
}

/**
 * What of the worker's environment the engine gets: what every child does, and its own settings; no token or key is in
 * its reach.
 */
export function engineEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const own = Object.keys(env).filter((name) => name.startsWith('ESCADA_ENGINE_'));
  return childEnvironment(env, own);
}

/** Starts the child: descriptor 3 takes requests, 4 gives replies. Throws `ENGINE_NOT_BUILT` when the addon is not there, `ENGINE_CRASHED` when there is no process. */
export function spawnChild(options: { addonPath?: string }): SpawnedChild {
  const addon = addonPath(options.addonPath);
  if (!existsSync(addon)) {
    throw new EscadaFailure({
      code: 'ENGINE_NOT_BUILT',
      message: `The native engine is not at ${addon}. ${BUILD_ENGINE}`,
      fields: { addonPath: addon },
    });
  }
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', CHILD], {
    env: { ...engineEnvironment(), ESCADA_ENGINE_ADDON: addon },
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
  });
  // A failed start is reported twice: by the missing pid, which is used here, and by an event that must be heard.
  child.on('error', () => undefined);
  if (child.pid === undefined) {
    throw new EscadaFailure({
      code: 'ENGINE_CRASHED',
      message: `The engine's process could not be started with ${process.execPath}.`,
      fields: { execPath: process.execPath },
    });
  }
  const [log, requests, replies] = child.stdio.slice(2) as [Readable, Duplex, Duplex];
  return {
    pid: child.pid,
    requests,
    replies,
    logs: [log],
    closed: closedOf(child),
    kill: () => void child.kill('SIGKILL'),
    hold: holdHandles([child, requests, replies, log]),
  };
}
