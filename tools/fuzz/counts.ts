/** What happened to one reader; the engine's half prints the same fields. */
export interface ReaderCounts {
  readonly reader: string;
  tried: number;
  accepted: number;
  /** Error code to number of inputs. */
  readonly rejected: Record<string, number>;
  /** Errors without a code, and those that say "a bug". */
  uncoded: number;
  panics: number;
  overAllocations: number;
  tooSlow: number;
  slowestMs: number;
  /** Most memory one input took beyond what was there before. */
  mostBytes: number;
  /** The first few failures, with the number of their input. */
  readonly failures: string[];
}

export function newCounts(reader: string): ReaderCounts {
  return {
    reader,
    tried: 0,
    accepted: 0,
    rejected: {},
    uncoded: 0,
    panics: 0,
    overAllocations: 0,
    tooSlow: 0,
    slowestMs: 0,
    mostBytes: 0,
    failures: [],
  };
}

/** Inputs that a reader should have refused in another way; a reader that was never tried counts as one. */
export function faults(counts: ReaderCounts): number {
  const { tried, uncoded, panics, overAllocations, tooSlow } = counts;
  return uncoded + panics + overAllocations + tooSlow + (tried > 0 ? 0 : 1);
}

/** One line for people. */
export function lineOf(counts: ReaderCounts): string {
  const rejected = Object.entries(counts.rejected).map(([code, number]) => `${code} ${number}`);
  const bad = faults(counts);
  const mib = (counts.mostBytes / 1024 / 1024).toFixed(1);
  return [
    `${counts.reader.padEnd(18)} ${counts.tried} tried, ${counts.accepted} accepted, ${rejected.join(', ') || 'none rejected'}`,
    `slowest ${counts.slowestMs} ms, most memory ${mib} MiB`,
    bad === 0 ? 'no faults' : `${bad} FAULTS\n  ${counts.failures.join('\n  ')}`,
  ].join('; ');
}
