import type { Immutable } from '../../schemas/common/immutable.ts';
import type { ModelRef } from '../../schemas/common/model-ref.ts';
/** How the report writes numbers and user text, in every format. */
import type { CutOffRecord, FailedRecord } from '../../schemas/outcome/decision.ts';

/** A score. */
export const show = (value: number): string => `${value < 0 ? '−' : ''}${Math.abs(value).toFixed(3)}`;

/** A difference with its sign. */
export const signed = (value: number): string => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(3)}`;

/** Bounds of an interval. */
export const interval = (one: { readonly low: number; readonly high: number }): string =>
  `${show(one.low)} – ${show(one.high)}`;

/** Seconds, precise where they are few. */
export function seconds(value: number): string {
  if (value < 10) return `${value.toFixed(2)} s`;
  return value < 600 ? `${value.toFixed(0)} s` : `${(value / 60).toFixed(0)} min`;
}

/** An amount of memory. */
export const bytes = (value: number): string =>
  value < 2 ** 30 ? `${(value / 2 ** 20).toFixed(0)} MiB` : `${(value / 2 ** 30).toFixed(1)} GiB`;

/** US dollars, precise where they are few. */
export const dollars = (value: number): string => `$${value < 0.1 ? value.toPrecision(2) : value.toFixed(2)}`;

/** Seconds of a single answer: three digits that count. */
export const perAnswer = (value: number): string => (value < 1 ? value.toPrecision(2) : value.toFixed(2));

/** Longest text of one row that a report shows, in characters; the artifacts hold the rest. */
export const MAX_SHOWN_CHARS = 1200;

// Control characters other than tab and line feed, and the marks that reorder the text around them.
// eslint-disable-next-line no-control-regex
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Text as a report may show it: no characters that hide or reorder others, and not endless. */
export function shown(text: string, limit: number = MAX_SHOWN_CHARS): string {
  const visible = text.replaceAll('\r\n', '\n').replaceAll(UNSEEN, '\ufffd');
  if (visible.length <= limit) return wellFormed(visible);
  return `${wellFormed(visible.slice(0, limit))} … (${visible.length - limit} more characters)`;
}

/** Half of a character, as a cut may leave it, is no text. */
const wellFormed = (text: string): string => text.replaceAll(/\p{Surrogate}/gu, '\ufffd');

/** What a rung without a score shows in the score's place. */
export const unscored = (one: FailedRecord | CutOffRecord): string =>
  one.outcome === 'failed' ? `failed: ${one.code}` : `cut off: no ${one.by} left`;

/** A model's id with the options that it was opened with: `smollm2-135m-instruct (weightFormat nf4)`. */
export function modelText({ id, options }: Immutable<ModelRef>): string {
  const shown = Object.entries(options).map(
    ([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  return shown.length === 0 ? id : `${id} (${shown.join(', ')})`;
}
