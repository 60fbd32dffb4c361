import type { Retention } from '../core/store/clean-home.ts';
import { countSetting } from '../runtime/settings.ts';

export const DEFAULT_KEEP_RUNS = 20;
export const DEFAULT_KEEP_DAYS = 30;
const DAY_MS = 86_400_000;

/**
 * From `ESCADA_KEEP_RUNS` (default 20) and `ESCADA_KEEP_DAYS` (default 30). Throws `INVALID_SPEC` for what is no number.
 */
export function readRetention(environment: NodeJS.ProcessEnv = process.env): Retention {
  const read = (name: string, usual: number): number =>
    countSetting(environment, name, { usual, min: 0, max: 1_000_000 });
  return {
    keepRuns: read('ESCADA_KEEP_RUNS', DEFAULT_KEEP_RUNS),
    olderThanMs: read('ESCADA_KEEP_DAYS', DEFAULT_KEEP_DAYS) * DAY_MS,
  };
}
