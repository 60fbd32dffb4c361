/** Small data with no language skill in it: enough to run every layer. */

const THINGS = ['sock', 'kettle', 'pot', 'lamp', 'chair', 'scarf', 'bowl', 'knife', 'clock', 'basket'];
const TRAITS = ['wool', 'blue', 'small', 'warm', 'heavy', 'round', 'plain', 'soft'];

/** A word that is only in the data: where it turns up elsewhere, rows have leaked. */
export const MARKER = 'zquix';

export interface SampleRow {
  readonly input: string;
  readonly output: string;
}

/** `count` distinct rows (at most 80), in a fixed order; inputs differ in their words, so that none are grouped. */
export function sampleRows(count: number): SampleRow[] {
  return Array.from({ length: count }, (_, index) => {
    const thing = THINGS[index % THINGS.length] ?? '';
    const trait = TRAITS[Math.floor(index / THINGS.length) % TRAITS.length] ?? '';
    return { input: `${trait} ${thing} ${MARKER}`, output: `A ${trait} ${thing}, ${MARKER}${index}.` };
  });
}

const cell = (text: string): string => `"${text.replaceAll('"', '""')}"`;

export function toCsv(rows: readonly SampleRow[]): string {
  return ['input,output', ...rows.map(({ input, output }) => `${cell(input)},${cell(output)}`), ''].join(
    '\n',
  );
}
