import { EscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import type { TrainerV1 } from '../../plugins/sdk/contracts/trainer.ts';

/** What `escada doctor` asks: it returns what it found, or throws what is wrong. */
export interface Check {
  readonly name: string;
  readonly run: () => Promise<string>;
}

/** More than a trainer's own limit is by default. */
export const HANDSHAKE_LIMIT_MS = 150_000;

/** One check a trainer: whether its handshake completes within its own time limit and at most `limitMs`. */
export function trainerChecks(trainers: readonly TrainerV1[], limitMs = HANDSHAKE_LIMIT_MS): Check[] {
  return trainers.map((trainer) => ({
    name: `trainer ${trainer.id}`,
    run: async () => {
      if (trainer.doProbe === undefined) return 'is configured; whether it answers shows when it trains';
      const over = new AbortController();
      // A trainer that pays no heed to the signal must not hold the others up.
      const late = new Promise<never>((_, reject) =>
        over.signal.addEventListener('abort', () => reject(tooLate(trainer.id, limitMs))),
      );
      const timer = setTimeout(() => over.abort(), limitMs);
      try {
        return `answers: ${await Promise.race([trainer.doProbe(over.signal), late])}`;
      } finally {
        clearTimeout(timer);
      }
    },
  }));
}

function tooLate(trainer: string, limitMs: number): EscadaFailure {
  return new EscadaFailure({
    code: 'TRAINER_NOT_STARTED',
    message: `trainer "${trainer}" did not complete the handshake within ${limitMs / 1000} s`,
    fields: { trainer, limitMs },
  });
}
