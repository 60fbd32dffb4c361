import { homedir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { DEFAULT_TASK_QUEUE } from '../schemas/plan/constants.ts';

/** What a process reads from its environment; Temporal's own variables are read by its SDK. */
export interface Settings {
  /** Base name of the task queues: `<base>` for control, `<base>-cpu`, `<base>-gpu`. */
  readonly taskQueue: string;
  /** Root of the artifact store. */
  readonly storeRoot: string;
  /** Folders that specs may read files from; default: `data` in the working directory. */
  readonly dataRoots: readonly string[];
  /** Cache for models and built things. */
  readonly cacheDir: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** A variable's value; an empty one counts as not set. */
export function setting(environment: Environment, name: string): string | undefined {
  const value = environment[name];
  return value === undefined || value.trim() === '' ? undefined : value;
}

export function readSettings(environment: Environment = process.env): Settings {
  const read = (name: string): string | undefined => setting(environment, name);
  const home = resolve(read('ESCADA_HOME') ?? '.escada');
  const cacheHome = read('XDG_CACHE_HOME') ?? join(homedir(), '.cache');
  const roots = (read('ESCADA_DATA_ROOTS') ?? '').split(delimiter).filter((root) => root.trim() !== '');
  return {
    taskQueue: read('ESCADA_TASK_QUEUE') ?? DEFAULT_TASK_QUEUE,
    storeRoot: join(home, 'store'),
    dataRoots: (roots.length > 0 ? roots : ['data']).map((root) => resolve(root)),
    cacheDir: resolve(read('ESCADA_CACHE_DIR') ?? join(cacheHome, 'escada')),
  };
}
