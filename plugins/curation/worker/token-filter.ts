import { z } from 'zod';
import { modelRefSchema } from '../../../schemas/common/model-ref.ts';
import { MODEL_STEP } from '../../sdk/model-step.ts';
import { buildMessages } from '../../sdk/prompts.ts';
import type { LanguageModelV1 } from '../../sdk/contracts/language-model.ts';
import type { StepContext, StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { capabilitiesOf, countTokens } from '../../sdk/model-calls.ts';
import { modelSalt } from '../../sdk/model-salt.ts';
import { CURATION_KINDS } from '../contract.ts';
import type { CurationOptions } from '../options.ts';
import { curationStep } from './curation-step.ts';
import { MAX_NEW_TOKENS, MAX_PROMPT_TOKENS } from '../../../schemas/common/limits.ts';
import { openDataset, publishKept } from './dataset.ts';
import { withDatabase } from './step-database.ts';
import type { StepDatabase, Row } from './step-database.ts';
import { datasetInputSchema, datasetOutputSchema } from './step-output.ts';
import { tokenLengthsSchema } from '../../../schemas/outcome/data-profile.ts';

const withSchema = datasetInputSchema.extend({
  model: modelRefSchema,
  task: z.strictObject({ system: z.string(), instruction: z.string() }),
  maxPromptTokens: z.int().min(1).max(MAX_PROMPT_TOKENS),
  maxAnswerTokens: z.int().min(1).max(MAX_NEW_TOKENS),
  /** With a model that cannot count tokens: fail, or keep every row uncounted. */
  whenUncountable: z.enum(['fail', 'keep']).default('fail'),
});
const outputSchema = datasetOutputSchema.extend({
  /** Null where the model cannot count. */
  tokens: tokenLengthsSchema.nullable(),
});

type With = z.infer<typeof withSchema>;
type Output = z.infer<typeof outputSchema>;

/** Rows counted in one call: large enough to keep the tokenizer busy, small enough to cancel quickly. */
const CHUNK_ROWS = 256;

/** `curate.token-filter@1`: drops rows too long for the model, counted by its own tokenizer and chat template. */
export function tokenFilterKind(options: CurationOptions): StepKindV1<With, Output> {
  return {
    ...curationStep({
      kind: CURATION_KINDS.tokenFilter,
      title: 'Drop rows that are too long',
      withSchema,
      outputSchema,
      names: { model: 'models' },
      summarize: (input) =>
        `drop prompts over ${shown(input['maxPromptTokens'])} or answers over ${shown(input['maxAnswerTokens'])} tokens`,
      doCacheSalt: (input, services, signal) => modelSalt(input, services, signal),
      doRun: (input, context) =>
        withDatabase(context, options, (database) => filter(database, input, context)),
    }),
    // The tokenizer is the model's: a worker without the engine cannot count.
    ...MODEL_STEP,
  };
}

async function filter(database: StepDatabase, input: With, context: StepContext): Promise<Output> {
  const source = await openDataset(database, context, input.dataset);
  const model = context.languageModel(input.model);
  if (input.whenUncountable === 'keep' && !capabilitiesOf(model).countTokens)
    return { ...(await publishKept(database, context, source)), tokens: null };
  await database.run('CREATE TABLE counts (row BIGINT, prompt INTEGER, answer INTEGER)');
  await countAll(database, input, model, { context, total: source.rows });
  await dropLong(database, input, (await model.doDescribe?.(context.signal))?.contextTokens);
  return { ...(await publishKept(database, context, source)), tokens: await lengths(database) };
}

/** Drops what is over the limits. A prompt must leave room for the longest answer that may be asked for or trained on. */
async function dropLong(
  database: StepDatabase,
  input: With,
  contextTokens = Number.MAX_SAFE_INTEGER,
): Promise<void> {
  const { maxPromptTokens, maxAnswerTokens } = input;
  const room = contextTokens - maxAnswerTokens;
  await database.run(
    `INSERT INTO dropped SELECT row, CASE WHEN prompt > ${maxPromptTokens}
       THEN 'prompt has ' || prompt || ' tokens, at most ${maxPromptTokens} allowed'
       WHEN answer > ${maxAnswerTokens}
       THEN 'answer has ' || answer || ' tokens, at most ${maxAnswerTokens} allowed'
       ELSE 'prompt has ' || prompt || ' tokens, with ${maxAnswerTokens} of an answer more than the model''s context of ${contextTokens}' END
     FROM counts WHERE prompt > ${maxPromptTokens} OR answer > ${maxAnswerTokens} OR prompt > ${room}`,
  );
}

async function countAll(
  database: StepDatabase,
  input: With,
  model: LanguageModelV1,
  { context, total }: { readonly context: StepContext; readonly total: number },
): Promise<void> {
  const appender = await database.appender('counts');
  let done = 0;
  for await (const rows of database.stream('SELECT row, id, input, output FROM src ORDER BY row')) {
    for (let start = 0; start < rows.length; start += CHUNK_ROWS) {
      const chunk = rows.slice(start, start + CHUNK_ROWS);
      const counts = await countTokens(model, { rows: chunk.map(asked(input)), signal: context.signal });
      for (const { id, promptTokens, answerTokens } of counts) {
        appender.appendBigInt(BigInt(id));
        appender.appendInteger(promptTokens);
        appender.appendInteger(answerTokens);
        appender.endRow();
      }
      done += chunk.length;
      database.phase = `counting tokens: ${done} of ${total} rows`;
    }
  }
  appender.closeSync();
}

/** A row as the model counts it, under its number in the dataset. */
const asked =
  ({ task }: With) =>
  (row: Row) => ({
    id: String(row['row']),
    messages: buildMessages({ ...task, shots: [], input: text(row['input']) }),
    answer: text(row['output']),
  });

async function lengths(database: StepDatabase): Promise<Output['tokens']> {
  const [row] = await database.rows(
    `SELECT quantile_disc(prompt, 0.5) AS p50, quantile_disc(prompt, 0.95) AS p95, max(prompt) AS top,
     quantile_disc(answer, 0.5) AS a50, quantile_disc(answer, 0.95) AS a95, max(answer) AS atop FROM counts`,
  );
  return {
    promptP50: Number(row?.['p50'] ?? 0),
    promptP95: Number(row?.['p95'] ?? 0),
    answerP50: Number(row?.['a50'] ?? 0),
    answerP95: Number(row?.['a95'] ?? 0),
    maxPrompt: Number(row?.['top'] ?? 0),
    maxAnswer: Number(row?.['atop'] ?? 0),
  };
}

function text(value: Row[string] | undefined): string {
  return value === null || value === undefined ? '' : String(value);
}

/** An option that may still be a reference. */
function shown(value: unknown): string {
  return typeof value === 'number' ? String(value) : 'the allowed';
}
