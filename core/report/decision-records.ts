/** The table of how every rung fared on the dev rows, in every format of the report. */
import type { DecisionRecord } from '../../schemas/outcome/candidate.ts';
import { interval, seconds, show, signed, unscored } from './text.ts';

/** Names of the columns; `metric` is the primary one. */
export function recordHead(metric: string): string[] {
  return ['rung', metric, 'interval', 'corrected bound', 'rows', 'tried', 'took', 'gain'];
}

/** The row of a rung. */
export function recordCells(one: DecisionRecord): (string | number)[] {
  if (one.outcome !== 'measured')
    return [one.rung, unscored(one), '–', '–', '–', '–', seconds(one.seconds), '–'];
  return [
    one.rung,
    show(one.value),
    interval(one),
    show(one.correctedLow),
    one.n,
    one.tried,
    seconds(one.seconds),
    one.gain === null ? '–' : `${signed(one.gain.delta)} (${interval(one.gain)}) against ${one.gain.against}`,
  ];
}
