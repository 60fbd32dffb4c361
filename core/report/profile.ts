import { z } from 'zod';
import {
  dataProfileSchema,
  tokenLengthsSchema,
  type DataProfile,
  type Lengths,
  type TokenLengths,
} from '../../schemas/outcome/data-profile.ts';
import type { JsonValue } from '../../schemas/common/json.ts';

/** What the rows look like, as the steps of the curation computed it; null where no step did. */
export interface ReportProfile {
  readonly splits: DataProfile | null;
  readonly tokens: TokenLengths | null;
}

/** A table of the report, in every format. */
export interface ReportTable {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

const profiled = z.object({ profile: dataProfileSchema });
const tokenized = z.object({ tokens: tokenLengthsSchema });

/** The profile in the outputs of the curation's steps; of several, the last one's. */
export function reportProfile(curation: { readonly [node: string]: JsonValue }): ReportProfile {
  const outputs = Object.values(curation);
  return {
    splits: outputs.flatMap((one) => profiled.safeParse(one).data?.profile ?? []).at(-1) ?? null,
    tokens: outputs.flatMap((one) => tokenized.safeParse(one).data?.tokens ?? []).at(-1) ?? null,
  };
}

/** The splits by name, in the order of a run. */
export const splitsOf = (profile: DataProfile) =>
  [
    ['train', profile.train],
    ['dev', profile.dev],
    ['test', profile.test],
  ] as const;

const LENGTHS = ['mean', 'min', 'p10', 'p50', 'p90', 'max'] as const satisfies readonly (keyof Lengths)[];

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

/** Tables of lengths and classes. */
export function profileTables({ splits, tokens }: ReportProfile): ReportTable[] {
  return [...(splits === null ? [] : splitTables(splits)), ...(tokens === null ? [] : [tokenTable(tokens)])];
}

function splitTables(profile: DataProfile): ReportTable[] {
  const splits = splitsOf(profile);
  const lengths = splits.flatMap(([name, { rows, ...split }]) =>
    (['input', 'output'] as const).map((column) => [
      `${name}, ${column}`,
      String(rows),
      ...LENGTHS.map((key) => String(split[column][key])),
    ]),
  );
  const tables = [{ title: 'Lengths in characters', head: ['split', 'rows', ...LENGTHS], rows: lengths }];
  const labels = splits[0][1].classes?.map(({ label }) => label);
  if (labels === undefined) return tables;
  const classes = labels.map((label) => [
    label,
    ...splits.map(([, split]) => {
      const found = split.classes?.find((one) => one.label === label);
      return found === undefined ? '–' : `${found.rows} (${percent(found.share)})`;
    }),
  ]);
  return [...tables, { title: 'Classes', head: ['class', ...splits.map(([name]) => name)], rows: classes }];
}

function tokenTable(tokens: TokenLengths): ReportTable {
  return {
    title: 'Lengths in tokens, of all rows that the token filter read',
    head: ['text', 'p50', 'p95', 'max'],
    rows: [
      ['prompt', ...[tokens.promptP50, tokens.promptP95, tokens.maxPrompt].map(String)],
      ['answer', ...[tokens.answerP50, tokens.answerP95, tokens.maxAnswer].map(String)],
    ],
  };
}

/** How the numbers were sampled; null where every row counts. */
export function samplingNote({ splits }: ReportProfile): string | null {
  if (splits === null) return null;
  const sampled = splitsOf(splits).filter(([, { rows, sampledRows }]) => sampledRows < rows);
  if (sampled.length === 0) return null;
  const parts = sampled.map(([name, { rows, sampledRows }]) => `${sampledRows} of ${rows} rows of ${name}`);
  return `Computed from ${parts.join(', ')}: every k-th row in file order.`;
}
