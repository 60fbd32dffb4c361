import { z } from 'zod';
import { MODEL_STEP } from '../../sdk/model-step.ts';
import { buildMessages } from '../../sdk/prompts.ts';
import { modelSchema } from '../../../schemas/outcome/recipe.ts';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import type { LanguageModelV1 } from '../../sdk/contracts/language-model.ts';
import type { StepContext, StepKindV1, StepServices } from '../../sdk/contracts/step-kind.ts';
import { CURATION_KINDS } from '../contract.ts';
import type { CurationOptions } from '../options.ts';
import { cpuKind } from './cpu-kind.ts';
import { MAX_NEW_TOKENS, MAX_PROMPT_TOKENS } from '../../../schemas/common/limits.ts';
import { openDataset, publishKept } from './dataset.ts';
import { withDuck } from './duck.ts';
import type { Duck, Row } from './duck.ts';
import { datasetInputSchema, datasetOutputSchema } from './step-output.ts';
import { tokenLengthsSchema } from '../../../schemas/outcome/data-profile.ts';

const withSchema = datasetInputSchema.extend({
  model: modelSchema,
  task: z.strictObject({ system: z.string(), instruction: z.string() }),
  maxPromptTokens: z.int().min(1).max(MAX_PROMPT_TOKENS),
  maxAnswerTokens: z.int().min(1).max(MAX_NEW_TOKENS),
});
const outputSchema = datasetOutputSchema.extend({
  tokens: tokenLengthsSchema,
});

type With = z.infer<typeof withSchema>;
type Output = z.infer<typeof outputSchema>;

/** Rows counted in one call: large enough to keep the tokenizer busy, small enough to cancel quickly. */
const CHUNK_ROWS = 256;

/** `curate.token-filter@1`: drops rows too long for the model, counted by its own tokenizer and chat template. */
export function tokenFilterKind(options: CurationOptions): StepKindV1<With, Output> {
  return {
    ...cpuKind({
      kind: CURATION_KINDS.tokenFilter,
      title: 'Drop rows that are too long',
      withSchema,
      outputSchema,
      names: { 'model.provider': 'providers' },
      summarize: (input) =>
        `drop prompts over ${shown(input['maxPromptTokens'])} or answers over ${shown(input['maxAnswerTokens'])} tokens`,
      doCacheSalt: async (input, services, signal) => {
        const { modelDigest, engineBuild } = await openModel(input, services).doDescribe(signal);
        return `${modelDigest} ${engineBuild}`;
      },
      doRun: (input, context) => withDuck(context, options, (duck) => filter(duck, input, context)),
    }),
    // The tokenizer is the model's: a worker without the engine cannot count.
    ...MODEL_STEP,
  };
}

async function filter(duck: Duck, input: With, context: StepContext): Promise<Output> {
  const source = await openDataset(duck, context, input.dataset);
  await duck.run('CREATE TABLE counts (row BIGINT, prompt INTEGER, answer INTEGER)');
  await countTokens(duck, input, context, source.rows);
  const { maxPromptTokens, maxAnswerTokens } = input;
  // A prompt must leave room for the longest answer that may be asked for, or be trained on.
  const { contextTokens } = await openModel(input, context).doDescribe(context.signal);
  const room = contextTokens - maxAnswerTokens;
  await duck.run(
    `INSERT INTO dropped SELECT row, CASE WHEN prompt > ${maxPromptTokens}
       THEN 'prompt has ' || prompt || ' tokens, at most ${maxPromptTokens} allowed'
       WHEN answer > ${maxAnswerTokens}
       THEN 'answer has ' || answer || ' tokens, at most ${maxAnswerTokens} allowed'
       ELSE 'prompt has ' || prompt || ' tokens, with ${maxAnswerTokens} of an answer more than the model''s context of ${contextTokens}' END
     FROM counts WHERE prompt > ${maxPromptTokens} OR answer > ${maxAnswerTokens} OR prompt > ${room}`,
  );
  return { ...(await publishKept(duck, context, source)), tokens: await lengths(duck) };
}

async function countTokens(duck: Duck, input: With, context: StepContext, total: number): Promise<void> {
  const model = openModel(input, context);
  const appender = await duck.appender('counts');
  let done = 0;
  for await (const rows of duck.stream('SELECT row, id, input, output FROM src ORDER BY row')) {
    for (let start = 0; start < rows.length; start += CHUNK_ROWS) {
      const chunk = rows.slice(start, start + CHUNK_ROWS);
      const counts = await countChunk(model, input, chunk, context.signal);
      for (const [index, row] of chunk.entries()) {
        appender.appendBigInt(BigInt(Number(row['row'])));
        appender.appendInteger(counts[index]?.promptTokens ?? 0);
        appender.appendInteger(counts[index]?.answerTokens ?? 0);
        appender.endRow();
      }
      done += chunk.length;
      duck.phase = `counting tokens: ${done} of ${total} rows`;
    }
  }
  appender.closeSync();
}

async function countChunk(model: LanguageModelV1, input: With, chunk: readonly Row[], signal: AbortSignal) {
  const counts = await model.doCount({
    rows: chunk.map((row) => ({
      id: String(row['id']),
      messages: buildMessages({ ...input.task, shots: [], input: text(row['input']) }),
      answer: text(row['output']),
    })),
    signal,
  });
  if (counts.length === chunk.length) return counts;
  const message = `The model counted ${counts.length} rows of ${chunk.length}.`;
  throw new EscadaFailure({ code: 'INTERNAL', message });
}

async function lengths(duck: Duck): Promise<Output['tokens']> {
  const [row] = await duck.rows(
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

function openModel(input: With, services: StepServices): LanguageModelV1 {
  const model = services.languageModel(input.model.provider, input.model);
  if (model.capabilities.count) return model;
  const message = `The model provider ${input.model.provider} cannot count tokens. Leave the token filter out of the pipeline, or choose a provider that can.`;
  throw new EscadaFailure({
    code: 'MODEL_UNSUPPORTED',
    message,
    fields: { provider: input.model.provider, id: input.model.id },
  });
}

function text(value: Row[string] | undefined): string {
  return value === null || value === undefined ? '' : String(value);
}

/** An option that may still be a reference. */
function shown(value: unknown): string {
  return typeof value === 'number' ? String(value) : 'the allowed';
}
