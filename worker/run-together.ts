/** Workers side by side in one process: all run, or none is left. */
import type { Worker } from '@temporalio/worker';

/** Something that runs until it is stopped. */
export interface Runner {
  run(): Promise<void>;
  /** May be called at any time, more than once. */
  stop(): void;
}

export function asRunner(worker: Worker, run: () => Promise<void> = () => worker.run()): Runner {
  return {
    run,
    stop: () => {
      if (worker.getState() === 'RUNNING') worker.shutdown();
    },
  };
}

/** Runs them until one ends or fails, and stops the others then. Throws the first failure once all have ended. */
export async function runTogether(runners: readonly Runner[]): Promise<void> {
  const failures: unknown[] = [];
  const stopAll = () => {
    for (const runner of runners) runner.stop();
  };
  const running = runners.map(async (runner) => {
    try {
      await runner.run();
    } catch (error) {
      failures.push(error);
    } finally {
      stopAll();
    }
  });
  await Promise.all(running);
  for (const failure of failures) throw failure;
}

/** Makes Workers one after the other. When one cannot be made, those that were are let go before its error is thrown. */
export async function createAll(makers: readonly (() => Promise<Worker>)[]): Promise<readonly Worker[]> {
  const made: Worker[] = [];
  try {
    for (const make of makers) made.push(await make());
    return made;
  } catch (error) {
    // A Worker that never ran cannot be shut down, and holds on to its connection until then.
    for (const worker of made) await worker.runUntil(Promise.resolve()).catch(() => undefined);
    throw error;
  }
}
