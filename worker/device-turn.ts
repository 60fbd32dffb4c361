/** Of several workers that share a home on one machine, one at a time works on the device. */
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { claimAlone } from '../runtime/claims.ts';
import type { ProcessId } from '../runtime/process-id.ts';
import type { Runner } from './run-together.ts';

/** Folder of the claims on this machine's device; a home may be shared between machines. */
export function deviceClaims(home: string): string {
  const machine = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
  return join(home, 'device', machine);
}

function onWait({ pid }: ProcessId): void {
  process.stderr.write(`worker: process ${pid} of this home uses the device; this one waits for it\n`);
}

/**
 * Makes and runs what needs the device when it is this process's turn. Until then another worker takes on the steps of
 * the same queue; when that one ends, or is killed, what it left is tried again here.
 */
export function inTurn(home: string, make: () => Promise<Runner>): Runner {
  const stopped = new AbortController();
  let runner: Runner | undefined;
  return {
    run: async () => {
      const turn = await claimAlone(deviceClaims(home), { signal: stopped.signal, onWait }).catch(
        (error: unknown) => {
          if (stopped.signal.aborted) return null;
          throw error;
        },
      );
      if (turn === null) return;
      try {
        runner = await make();
        const running = runner.run();
        // What never ran could not be stopped.
        if (stopped.signal.aborted) runner.stop();
        await running;
      } finally {
        await turn.release();
      }
    },
    stop: () => {
      stopped.abort();
      runner?.stop();
    },
  };
}
