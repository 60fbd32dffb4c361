/**
 * Whether a step still moves, reported from wherever its work is done: events of a process, messages of a thread, rows that
 * arrive. The step that is meant is the one whose code runs, so nothing has to be handed down to those who report.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

/** Who wants to know about one step. */
export interface MovementWatch {
  /** Something got further. */
  moved(): void;
  /** From now on somebody else makes sure that the work moves or fails; until the function that it gives is called. */
  hold(): () => void;
}

const watches = new AsyncLocalStorage<MovementWatch>();

/** Runs a step's work, whose movement is reported to `watch`. */
export function watchMovement<T>(watch: MovementWatch, work: () => T): T {
  return watches.run(watch, work);
}

/** Tells that the step whose code runs got further. Outside of steps it does nothing. */
export function noteMovement(): void {
  watches.getStore()?.moved();
}

/** `noteMovement` for later, when messages arrive outside the step's own context. */
export function movementNoter(): () => void {
  const watch = watches.getStore();
  return () => watch?.moved();
}

/**
 * For work that gives no signs of its own but cannot hang unseen: an operation with a stall limit of its own, the wait for
 * a device that others use, a statement of a database. The step counts as moving until the given function is called.
 */
export function watchedElsewhere(): () => void {
  const release = watches.getStore()?.hold() ?? (() => undefined);
  let released = false;
  return () => {
    if (!released) release();
    released = true;
  };
}

/** `watchedElsewhere` for the time of one promise. */
export async function whileWatchedElsewhere<T>(work: () => Promise<T>): Promise<T> {
  const release = watchedElsewhere();
  try {
    return await work();
  } finally {
    release();
  }
}
