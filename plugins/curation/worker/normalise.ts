import { z } from 'zod';
import type { StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { CURATION_KINDS } from '../contract.ts';
import type { CurationOptions } from '../options.ts';
import { curationStep } from './curation-step.ts';
import { openDataset, publishKept } from './dataset.ts';
import { withDatabase } from './step-database.ts';
import { datasetInputSchema, datasetOutputSchema } from './step-output.ts';

const withSchema = datasetInputSchema.extend({
  /** `prose`: runs of blanks become one. `code`: indentation and blanks inside lines stay. */
  whitespace: z.enum(['prose', 'code']).default('prose'),
});
const outputSchema = datasetOutputSchema.extend({
  /** Rows whose input or output is no longer the same text. */
  changed: z.int().nonnegative(),
});

type With = z.infer<typeof withSchema>;
type Output = z.infer<typeof outputSchema>;

/**
 * Control characters, soft hyphen, zero-width space, word joiner and byte order mark. The zero-width joiner and
 * non-joiner stay: emoji and several scripts need them.
 */
const INVISIBLE = String.raw`[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\x{ad}\x{200b}\x{2060}\x{feff}]`;
const NEWLINE = String.raw`\r\n|[\r\x{85}\x{2028}\x{2029}]`;
const BLANKS = String.raw`[\t\x0b\x0c\p{Zs}]+`;

const replace = (inner: string, pattern: string, by: string): string =>
  `regexp_replace(${inner}, '${pattern}', ${by}, 'g')`;

/** SQL for the clean form of a column. Cleaning a clean text changes nothing. */
function cleaned(column: string, whitespace: With['whitespace']): string {
  const lines = replace(replace(column, NEWLINE, 'chr(10)'), INVISIBLE, "''");
  const tidy =
    whitespace === 'code'
      ? replace(replace(lines, String.raw`[\t\x0b\x0c\p{Zs}]+(\n|$)`, String.raw`'\1'`), '^\\n+|\\n+$', "''")
      : `trim(${replace(
          replace(replace(lines, BLANKS, "' '"), ' ?\\n ?', 'chr(10)'),
          '\\n{3,}',
          'repeat(chr(10), 2)',
        )}, ' ' || chr(10))`;
  return `nfc_normalize(${tidy})`;
}

/** `curate.normalise@1`: one form for white space, line ends and Unicode; control and invisible characters go. */
export function normaliseKind(options: CurationOptions): StepKindV1<With, Output> {
  return curationStep({
    kind: CURATION_KINDS.normalise,
    title: 'Normalise texts',
    withSchema,
    outputSchema,
    summarize: () => 'normalise white space, line ends, Unicode form; strip invisible characters',
    doRun: (input, context) =>
      withDatabase(context, options, async (database) => {
        const source = await openDataset(database, context, input.dataset);
        const clean = {
          input: cleaned('input', input.whitespace),
          output: cleaned('output', input.whitespace),
        };
        database.phase = 'counting changes';
        const changed = await database.number(
          `SELECT count(*) FROM src WHERE input IS DISTINCT FROM ${clean.input}
           OR output IS DISTINCT FROM ${clean.output}`,
        );
        return { ...(await publishKept(database, context, source, clean)), changed };
      }),
  });
}
