import type { Retention } from '../core/store/clean-home.ts';
import { EscadaFailure } from '../plugins/sdk/contracts/failure.ts';
import { setting } from '../runtime/settings.ts';

export const DEFAULT_KEEP_RUNS = 20;
export const DEFAULT_KEEP_DAYS = 30;
const DAY_MS = 86_400_000;

/**
 * From `ESCADA_KEEP_RUNS` (default 20) and `ESCADA_KEEP_DAYS` (default 30). Throws `INVALID_SPEC` for what is no number.
 */
export function readRetention(environment: NodeJS.ProcessEnv = process.env): Retention {
  const read = (name: string, usual: number): number => {
    const text = setting(environment, name);
    if (text === undefined) return usual;
    const value = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
    if (value <= 1_000_000) return value;
    const message = `${name}: "${text}" is not a whole number from 0 to 1000000.`;
    throw new EscadaFailure({ code: 'INVALID_SPEC', message, fields: { variable: name } });
  };
  return {
    keepRuns: read('ESCADA_KEEP_RUNS', DEFAULT_KEEP_RUNS),
    olderThanMs: read('ESCADA_KEEP_DAYS', DEFAULT_KEEP_DAYS) * DAY_MS,
  };
}
