import { EscadaFailure } from '../../../sdk/contracts/failure.ts';
import type { Group } from './groups.ts';
import type { Sizes } from './assign.ts';
import type { Lineage } from './options.ts';

/** `DATA_TOO_FEW_ROWS` with the numbers and, when it is known, the step that dropped most. */
export function tooFewRows(
  facts: { readonly usable: number; readonly groups: readonly Group[]; readonly missing: number },
  sizes: Sizes,
  lineage: Lineage | undefined,
): EscadaFailure {
  const needed = sizes.train + sizes.dev + sizes.test;
  const { usable, groups, missing } = facts;
  const parts = [
    `${usable} rows are usable, but ${needed} are needed (train ${sizes.train}, dev ${sizes.dev}, test ${sizes.test}).`,
  ];
  if (usable >= needed) {
    const largest = groups.reduce((most, group) => Math.max(most, group.size), 0);
    parts.push(
      `Rows that belong together stay in one split: in ${groups.length} groups, the largest of ${largest} rows, ${missing} rows are missing.`,
    );
  }
  const worst = (lineage?.steps ?? []).reduce<Lineage['steps'][number] | null>(
    (most, step) => (step.dropped > (most?.dropped ?? 0) ? step : most),
    null,
  );
  if (worst !== null)
    parts.push(`Step ${worst.step} dropped most: ${worst.dropped} of ${worst.rows + worst.dropped} rows.`);
  const fields = {
    usable,
    needed,
    missing,
    ...(worst === null ? {} : { step: worst.step, dropped: worst.dropped }),
  };
  return new EscadaFailure({ code: 'DATA_TOO_FEW_ROWS', message: parts.join(' '), fields });
}
