import { itemAt } from '../lib/random.ts';
import type { Random } from '../lib/random.ts';

/** One row of the file before it gets an id. */
export interface RawRow {
  /** The shop's code for the product; copies keep it. */
  readonly product: string;
  readonly category: string;
  readonly input: string;
  readonly description: string;
}

type TextField = 'input' | 'description';

const textFields: readonly TextField[] = ['input', 'description'];
const blanks = ['', '', '', ' ', '\t', '\u00a0 '] as const;
const manual = [
  'Read these instructions before first use and keep them for later.',
  'Place the product on a flat and dry surface away from open fire.',
  'Wipe with a damp cloth; do not use "abrasive" cleaners, solvents or bleach.',
  'Check all parts for completeness: body (1x), cover (1x), screws (4x), leaflet (1x).',
  'The manufacturer is not liable for damage caused by improper use.',
  'Dispose of packaging according to local rules; keep plastic bags away from children.',
  'For questions about the warranty, contact the dealer and have the receipt ready.',
  'Technical changes and printing errors excepted.',
] as const;

/** Empties one text cell, or fills it with blanks only. */
export function withEmptyCell(row: RawRow, random: Random): RawRow {
  return { ...row, [random.pick(textFields)]: random.pick(blanks) };
}

/** Pastes a manual into the supplier's text or after the house's text: far over any token limit. */
export function withPastedManual(row: RawRow, random: Random): RawRow {
  const pages = Array.from({ length: 2 + random.below(3) }, () => random.shuffled(manual).join(' '));
  const pasted = pages.join('\n\n');
  return random.chance(0.7)
    ? { ...row, input: `${row.input} ${pasted}` }
    : { ...row, description: `${row.description} ${pasted}` };
}

/** Leaves the words alone and spoils the white space: a usable row once it is normalised. */
export function withOddWhitespace(row: RawRow, random: Random): RawRow {
  const field = random.pick(textFields);
  return { ...row, [field]: spoilWhitespace(row[field], random) };
}

/** A copy that is equal byte for byte, or equal but for case and white space. */
export function duplicateOf(row: RawRow, random: Random): RawRow {
  if (random.chance(0.5)) return row;
  const field = random.pick(textFields);
  const recased = random.chance(0.5) ? row[field].toUpperCase() : row[field].toLowerCase();
  const text = random.chance(0.6) ? recased : spoilWhitespace(row[field], random);
  return { ...row, [field]: text };
}

function spoilWhitespace(text: string, random: Random): string {
  const gap = random.pick(['  ', '   ', '\t', ' \n', '\u00a0', ' \r\n']);
  const words = text.split(' ');
  const at = 1 + random.below(Math.max(1, words.length - 1));
  const spoilt = words.map((word, index) => joinWord(word, index, at, gap)).join('');
  return itemAt([spoilt, ` ${spoilt}`, `${spoilt}  `, `${spoilt}\n`], random.below(4));
}

function joinWord(word: string, index: number, at: number, gap: string): string {
  if (index === 0) return word;
  return (index === at ? gap : ' ') + word;
}
