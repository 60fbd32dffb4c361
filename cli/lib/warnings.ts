import type { TrainOutcome } from '../../schemas/outcome/train-run.ts';

/** What a training warned of, a line each. */
export function warningLines({
  warnings,
  warningCount,
}: Pick<TrainOutcome, 'warnings' | 'warningCount'>): string[] {
  const more = warningCount - warnings.length;
  const lines = warnings.map(({ kind, message }) => `warning (${kind}): ${message}`);
  return more > 0 ? [...lines, `and ${more} more warnings: see the artifact "training"`] : lines;
}
