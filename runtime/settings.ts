import { delimiter, resolve } from 'node:path';
import type { StoreChoice } from '../schemas/spec/project-config.ts';
import { EscadaFailure } from '../plugins/sdk/contracts/failure.ts';

import { cacheFolder } from './bootstrap/cache-folder.mjs';
import { DEFAULT_TASK_QUEUE } from '../schemas/plan/constants.ts';

/** What a process reads from its environment; Temporal's own variables are read by its SDK. */
export interface Settings {
  /** Base name of the task queues, see `queueName`. */
  readonly taskQueue: string;
  /** The home folder, absolute: artifact store, reports, logs, the server's database. */
  readonly home: string;
  /** The artifact store; default: what the configuration file says, else files in the home folder. */
  readonly store?: StoreChoice;
  /** Folders that specs may read files from; default: `data` in the working directory. */
  readonly dataRoots: readonly string[];
  /** Steps that wait for a service elsewhere which one worker runs at once; `ESCADA_IO_CONCURRENCY`, default 8. */
  readonly ioConcurrency: number;
  /** Cache for models and built things. */
  readonly cacheDir: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** A variable's value; an empty one counts as not set. */
export function setting(environment: Environment, name: string): string | undefined {
  const value = environment[name];
  return value === undefined || value.trim() === '' ? undefined : value;
}

/** A variable's whole number. Throws `INVALID_SPEC` for what is none, or out of bounds. */
export function countSetting(
  environment: Environment,
  name: string,
  { usual, min, max }: { readonly usual: number; readonly min: number; readonly max: number },
): number {
  const text = setting(environment, name);
  if (text === undefined) return usual;
  const value = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  const message = `${name}: "${text}" is not a whole number from ${min} to ${max}.`;
  throw new EscadaFailure({ code: 'INVALID_SPEC', message, fields: { variable: name } });
}

/** Throws `INVALID_SPEC` for a variable that cannot be read. */
export function readSettings(environment: Environment = process.env): Settings {
  const read = (name: string): string | undefined => setting(environment, name);
  const home = resolve(read('ESCADA_HOME') ?? '.escada');
  const use = read('ESCADA_STORE');
  const roots = (read('ESCADA_DATA_ROOTS') ?? '').split(delimiter).filter((root) => root.trim() !== '');
  return {
    taskQueue: read('ESCADA_TASK_QUEUE') ?? DEFAULT_TASK_QUEUE,
    home,
    ...(use === undefined ? {} : { store: { use: use.trim() } }),
    dataRoots: (roots.length > 0 ? roots : ['data']).map((root) => resolve(root)),
    ioConcurrency: countSetting(environment, 'ESCADA_IO_CONCURRENCY', { usual: 8, min: 1, max: 1000 }),
    cacheDir: cacheFolder(environment),
  };
}
