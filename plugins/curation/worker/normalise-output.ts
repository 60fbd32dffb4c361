import { z } from 'zod';
import type { StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { CURATION_KINDS } from '../contract.ts';
import type { CurationOptions } from '../options.ts';
import { curationStep } from './curation-step.ts';
import { openDataset, publishKept } from './dataset.ts';
import { withDatabase } from './step-database.ts';
import type { StepDatabase } from './step-database.ts';
import { OUTPUT_STAGES, formatOf, normalisedOutput } from './normalise-output/stages.ts';
import { OUTPUT_FORMATS, normaliseOutputInputSchema } from './normalise-output/options.ts';
import type { NormaliseOutputInput } from './normalise-output/options.ts';
import { datasetOutputSchema } from './step-output.ts';

const count = z.int().nonnegative();

const outputSchema = datasetOutputSchema.extend({
  /** Rows whose output is no longer the same text, and rows that each rule changed. */
  changed: count,
  changes: z.strictObject({
    lineEnds: count,
    unicode: count,
    punctuation: count,
    trailingSpaces: count,
    codeFences: count,
    blankLines: count,
    edges: count,
  }),
  /** Rows by the form of their normalised output, dropped ones included. */
  formats: z.strictObject({
    json: count,
    code: count,
    list: count,
    lines: count,
    sentence: count,
    phrase: count,
  }),
  /** Share of the most frequent form, 0 to 1; 1 of an empty dataset. */
  consistency: z.number().min(0).max(1),
});

type Output = z.infer<typeof outputSchema>;

/** `curate.normalise-output@1`: one form for what the model is to write, and a look at whether the rows agree on one. */
export function normaliseOutputKind(options: CurationOptions): StepKindV1<NormaliseOutputInput, Output> {
  return curationStep({
    kind: CURATION_KINDS.normaliseOutput,
    title: 'Normalise outputs',
    withSchema: normaliseOutputInputSchema,
    outputSchema,
    summarize: () => 'give outputs one form and count which forms there are',
    doRun: (input, context) =>
      withDatabase(context, options, async (database) => {
        const source = await openDataset(database, context, input.dataset);
        const changes = await countChanges(database, input);
        const changed = await database.number(
          `SELECT count(*) FROM src WHERE output IS DISTINCT FROM ${normalisedOutput(input)}`,
        );
        const formats = await countFormats(database, input);
        await dropUnfit(database, input);
        const published = await publishKept(database, context, source, { output: normalisedOutput(input) });
        const most = Math.max(...Object.values(formats));
        const consistency = source.rows === 0 ? 1 : Math.round((most / source.rows) * 10_000) / 10_000;
        return { ...published, changed, changes, formats, consistency };
      }),
  });
}

async function countChanges(database: StepDatabase, input: NormaliseOutputInput): Promise<Output['changes']> {
  database.phase = 'counting changes';
  const counts: Partial<Record<keyof Output['changes'], number>> = {};
  for (const [index, { name }] of OUTPUT_STAGES.entries()) {
    const [before, after] = [normalisedOutput(input, index), normalisedOutput(input, index + 1)];
    counts[name] = await database.number(
      `SELECT count(*) FROM src WHERE ${before} IS DISTINCT FROM ${after}`,
    );
  }
  return counts as Output['changes'];
}

async function countFormats(database: StepDatabase, input: NormaliseOutputInput): Promise<Output['formats']> {
  database.phase = 'looking at the form of outputs';
  await database.run(
    `CREATE TABLE formats AS SELECT row, ${formatOf(normalisedOutput(input))} AS format FROM src`,
  );
  const rows = await database.rows('SELECT format, count(*) AS n FROM formats GROUP BY format');
  const counts = new Map(rows.map((row) => [row['format'], Number(row['n'])]));
  return Object.fromEntries(
    OUTPUT_FORMATS.map((format) => [format, counts.get(format) ?? 0]),
  ) as Output['formats'];
}

async function dropUnfit(database: StepDatabase, input: NormaliseOutputInput): Promise<void> {
  const { require } = input;
  await database.run(
    `INSERT INTO dropped SELECT row, 'nothing is left of the output' FROM src
     WHERE NOT is_blank(output) AND is_blank(${normalisedOutput(input)})`,
  );
  if (require === 'any') return;
  await database.run(
    `INSERT INTO dropped SELECT row, 'the output has the form ' || format || ', not ${require}' FROM formats ANTI JOIN dropped USING (row)
     WHERE format <> '${require}'`,
  );
}
