/** Text for the dashboard: safe in Markdown tables, measured as the UI will send it. Pure and deterministic. */
import { withoutLinks } from '../../schemas/common/plain-text.ts';
import type { MeasuredRecord } from '../../schemas/outcome/decision.ts';

/** Longest name or sentence that the dashboard shows, in characters. */
const MAX_CELL_CHARS = 320;

/** One line in which nothing ends a table cell, a code span or a paragraph, or is markup. */
export function cell(text: string): string {
  const line = text.replaceAll(/[\s\p{Cc}\p{Cf}]+/gu, ' ').trim();
  const short = line.length <= MAX_CELL_CHARS ? line : `${line.slice(0, MAX_CELL_CHARS)}…`;
  return withoutLinks(short)
    .replaceAll(/[|`<>*_[\]\\]/g, (one) => `&#${one.charCodeAt(0)};`)
    .replaceAll(/\p{Surrogate}/gu, '\ufffd');
}

/** A name in a code span, where entities would be shown as they are. */
export function code(text: string): string {
  return `\`${text
    .replaceAll(/[\s\p{Cc}\p{Cf}`|]+/gu, ' ')
    .trim()
    .slice(0, MAX_CELL_CHARS)}\``;
}

const clamp = (value: number): number => Math.max(0, Math.min(1, value));

/** A share of 1 as a bar of so many cells. */
export function bar(share: number, cells: number): string {
  const full = Math.round(clamp(share) * cells);
  return '█'.repeat(full) + '░'.repeat(cells - full);
}

/** Seconds, with the digits that count. */
export const secondsText = (seconds: number): string =>
  seconds < 1 ? String(Number(seconds.toPrecision(2))) : seconds.toFixed(1);

/** A score on the line from 0 to 1: `━` its interval, `●` the score, `│` the target. */
export function scoreBar(
  score: Pick<MeasuredRecord, 'value' | 'low' | 'high'> | null,
  target: number | null,
  cells: number,
): string {
  const cellOf = (value: number) => Math.min(cells - 1, Math.floor(clamp(value) * cells));
  const line = new Array<string>(cells).fill('·');
  if (score !== null) line.fill('━', cellOf(score.low), cellOf(score.high) + 1);
  if (target !== null) line[cellOf(target)] = '│';
  if (score !== null) line[cellOf(score.value)] = '●';
  return line.join('');
}
