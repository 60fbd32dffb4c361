/** What this process is working on, for whoever finds that it does not get on. */
interface Running {
  readonly what: string;
  readonly sinceMs: number;
}

const running = new Set<Running>();
/** What ended since it was last asked for: what held up the process may be over by then. */
const ended = new Set<string>();
const MAX_ENDED = 20;

/** Names a piece of work for as long as it lasts. */
export async function whileRunning<T>(what: string, work: () => Promise<T>): Promise<T> {
  const entry: Running = { what, sinceMs: performance.now() };
  running.add(entry);
  try {
    return await work();
  } finally {
    running.delete(entry);
    if (ended.size < MAX_ENDED) ended.add(what);
  }
}

/** What is running, for how long, and what has ended since the last call. */
export function takeRunning(): readonly string[] {
  const now = performance.now();
  const lines = [...running].map(
    ({ what, sinceMs }) => `${what} (for ${Math.round((now - sinceMs) / 1000)} s)`,
  );
  lines.push(...[...ended].map((what) => `${what} (just ended)`));
  ended.clear();
  return lines;
}
