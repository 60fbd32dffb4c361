import type { ChildProcess } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

/** How a process ended. */
export interface ProcessExit {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A started process and its streams. */
export interface SpawnedChild {
  readonly pid: number;
  readonly requests: Writable;
  readonly replies: Readable;
  readonly logs: readonly Readable[];
  /** Fulfilled when the process is gone and everything it wrote has been read. Never rejects. */
  readonly closed: Promise<ProcessExit>;
  /** Ends it at once, with everything it has started. */
  kill(): void;
  /** An idle process must not keep the worker alive; a busy one must. */
  hold(busy: boolean): void;
}

/** `hold` of a child by its handles. */
export function holdHandles(handles: readonly object[]): (busy: boolean) => void {
  return (busy) => {
    for (const handle of handles as { ref?(): void; unref?(): void }[]) {
      if (busy) handle.ref?.();
      else handle.unref?.();
    }
  };
}

/** `closed` of a child: `close`, not `exit`, because the last log lines explain the end and are read by then. */
export function closedOf(child: ChildProcess): Promise<ProcessExit> {
  return new Promise((resolve) => {
    child.on('close', (exitCode, signal) => resolve({ exitCode, signal }));
  });
}
