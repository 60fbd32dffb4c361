import { op, table } from 'arquero';
import { z } from 'zod';
import type { Duck } from '../duck.ts';
import { parquetTable } from '../sql.ts';
import { SPLITS } from './assign.ts';
import type { SplitName } from './assign.ts';

const characters = z.number().nonnegative();

/** Lengths of one split's texts, in characters. */
export const splitProfileSchema = z.strictObject({
  rows: z.int().nonnegative(),
  inputMeanChars: characters,
  inputMedianChars: characters,
  inputMaxChars: characters,
  outputMeanChars: characters,
  outputMedianChars: characters,
  outputMaxChars: characters,
});

export type SplitProfile = z.infer<typeof splitProfileSchema>;

/** Only lengths leave the database: the table here has two numbers a row, whatever the texts are. */
export async function profileSplit(duck: Duck, path: string): Promise<SplitProfile> {
  const lengths = await duck.columns(
    `SELECT length(input)::INTEGER AS input, length(output)::INTEGER AS output FROM ${parquetTable(path)}`,
  );
  const summary = table(lengths)
    .rollup({
      rows: op.count(),
      inputMeanChars: op.mean('input'),
      inputMedianChars: op.median('input'),
      inputMaxChars: op.max('input'),
      outputMeanChars: op.mean('output'),
      outputMedianChars: op.median('output'),
      outputMaxChars: op.max('output'),
    })
    .object() as Record<string, number>;
  const rounded = Object.entries(summary).map(([name, value]) => [name, Math.round(value * 100) / 100]);
  return splitProfileSchema.parse(Object.fromEntries(rounded));
}

export async function profileSplits(
  duck: Duck,
  paths: Readonly<Record<SplitName, string>>,
): Promise<Record<SplitName, SplitProfile>> {
  const profiles: [SplitName, SplitProfile][] = [];
  for (const split of SPLITS) profiles.push([split, await profileSplit(duck, paths[split])]);
  return Object.fromEntries(profiles) as Record<SplitName, SplitProfile>;
}
