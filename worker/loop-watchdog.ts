import { takeRunning } from '../activities/running.ts';

export interface LoopWatchdogOptions {
  /** Where the warning goes. */
  readonly warn: (message: string) => void;
  /** Longest block that is nobody's affair. Default 1000. */
  readonly lagMs?: number;
  /** Time between two looks; a block is what a look comes later than that. Default 250. */
  readonly lookMs?: number;
  /** Time between two warnings. Default 60000. */
  readonly quietMs?: number;
}

/**
 * Warns when something held up the event loop, at most once a minute, with what was running: heartbeats, cancellations and
 * every other step wait meanwhile. Gives the function that ends it.
 */
export function startLoopWatchdog(options: LoopWatchdogOptions): () => void {
  const { warn, lagMs = 1000, lookMs = 250, quietMs = 60_000 } = options;
  let longestMs = 0;
  let warnedMs = Number.NEGATIVE_INFINITY;
  let suspects = new Set<string>();
  let lookedMs = performance.now();
  const look = (): void => {
    const blockMs = performance.now() - lookedMs - lookMs;
    lookedMs = performance.now();
    const running = takeRunning();
    if (blockMs > lagMs) {
      longestMs = Math.max(longestMs, blockMs);
      suspects = new Set([...suspects, ...running]);
    }
    if (longestMs === 0 || performance.now() - warnedMs < quietMs) return;
    warn(messageFor(longestMs, [...suspects]));
    [longestMs, suspects, warnedMs] = [0, new Set(), performance.now()];
  };
  const timer = setInterval(look, lookMs);
  timer.unref();
  return () => clearInterval(timer);
}

function messageFor(blockMs: number, suspects: readonly string[]): string {
  const work = suspects.length === 0 ? 'nothing of Escada was running' : `running: ${suspects.join(', ')}`;
  return `The event loop of this worker was blocked for ${(blockMs / 1000).toFixed(1)} s (or the machine did); ${work}. Heartbeats and cancellations had to wait.`;
}
