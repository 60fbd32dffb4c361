import { MODEL_STEP } from '../../sdk/model-step.ts';
import { buildMessages } from '../../sdk/prompts.ts';
import type { GenerateResult, LanguageModelV1 } from '../../sdk/contracts/language-model.ts';
import type { StepContext, StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { generate, NO_USAGE, sumUsage, usageOf } from '../../sdk/model-calls.ts';
import { modelSalt } from '../../sdk/model-salt.ts';
import { CURATION_KINDS } from '../contract.ts';
import type { CurationOptions } from '../options.ts';
import { curationStep } from './curation-step.ts';
import { openDataset, putSamples } from './dataset.ts';
import type { OpenDataset } from './dataset.ts';
import { openMade, publishWithMade, seededPlace } from './derived.ts';
import { withDatabase } from './step-database.ts';
import type { StepDatabase, Row } from './step-database.ts';
import { literal } from './sql.ts';
import { judge, plainText, similarity, unquoted } from './paraphrase/judge.ts';
import type { Verdict } from './paraphrase/judge.ts';
import { REJECTIONS, paraphraseInputSchema, paraphraseOutputSchema } from './paraphrase/options.ts';
import type { ParaphraseInput, ParaphraseOutput } from './paraphrase/options.ts';

/** Rows of one call: enough to keep the model busy, few enough to show progress. */
const CHUNK_ROWS = 64;
const MAX_SAMPLES_HELD = 10;

/**
 * `curate.paraphrase@1`: adds rows whose input says the same in other words; output, group and category stay. Every
 * answer is judged, and those rejected are counted by rule.
 */
export function paraphraseKind(options: CurationOptions): StepKindV1<ParaphraseInput, ParaphraseOutput> {
  return {
    ...curationStep({
      kind: CURATION_KINDS.paraphrase,
      title: 'Paraphrase inputs',
      withSchema: paraphraseInputSchema,
      outputSchema: paraphraseOutputSchema,
      names: { 'model.provider': 'providers' },
      summarize: ({ copies }) =>
        `add ${typeof copies === 'number' ? copies : 'a'} paraphrase${copies === undefined || copies === 1 ? '' : 's'} of each input`,
      doCacheSalt: (input, services, signal) => modelSalt(input, services, signal),
      doRun: (input, context) =>
        withDatabase(context, options, (database) => new Paraphrasing(database, input, context).run()),
    }),
    ...MODEL_STEP,
    startToCloseTimeoutMs: 6 * 3_600_000,
  };
}

/** One run of the step. */
class Paraphrasing {
  readonly #database: StepDatabase;
  readonly #input: ParaphraseInput;
  readonly #context: StepContext;
  readonly #rejected = Object.fromEntries(
    REJECTIONS.map((code) => [code, 0]),
  ) as ParaphraseOutput['rejected'];
  #usage = NO_USAGE;
  readonly #samples: Row[] = [];
  readonly #moreSamples: Row[] = [];
  #made = 0;
  #accepted = 0;

  constructor(database: StepDatabase, input: ParaphraseInput, context: StepContext) {
    this.#database = database;
    this.#input = input;
    this.#context = context;
  }

  async run(): Promise<ParaphraseOutput> {
    const { dataset: ref } = this.#input;
    const [database, context] = [this.#database, this.#context];
    const source = await openDataset(database, context, ref);
    const parents = await this.#chooseParents(source);
    await openMade(database);
    const model = context.languageModel(this.#input.model);
    for (let start = 0; start < parents; start += CHUNK_ROWS) {
      database.phase = `paraphrasing: ${start} of ${parents} rows`;
      context.heartbeat({ phase: database.phase });
      await this.#paraphrase(model, start);
    }
    const dataset = await publishWithMade(database, context, source, 'p');
    const dropped = this.#made - this.#accepted;
    return {
      dataset,
      rows: source.rows + this.#accepted,
      dropped,
      droppedSamples: await putSamples(context, [...this.#samples, ...this.#moreSamples]),
      sizeBytes: dataset.sizeBytes,
      made: this.#made,
      accepted: this.#accepted,
      rejected: this.#rejected,
      usage: { ...this.#usage },
    };
  }

  /** Makes `parents(n, row)`: the originals, in an order that depends on seed and content. Returns how many. */
  async #chooseParents(source: OpenDataset): Promise<number> {
    const { seed, parents } = this.#input;
    const originals = source.optional.includes('parent') ? 'parent IS NULL' : 'true';
    await this.#database.run(
      `CREATE TABLE parents AS SELECT (row_number() OVER (ORDER BY ${seededPlace(seed)}, row) - 1)::INTEGER AS n, row
       FROM src WHERE ${originals} AND input IS NOT NULL AND NOT is_blank(input) ${parents === undefined ? '' : `QUALIFY n < ${parents}`}`,
    );
    // Texts that are there already, so that no paraphrase repeats one of them.
    await this.#database.run(
      'CREATE TABLE taken AS SELECT DISTINCT md5(text_key(input)) AS k FROM src WHERE input IS NOT NULL',
    );
    return await this.#database.number('SELECT count(*) FROM parents');
  }

  async #paraphrase(model: LanguageModelV1, start: number): Promise<void> {
    const rows = await this.#database.rows(
      `SELECT row, id, input, output FROM src JOIN parents USING (row)
       WHERE n >= ${start} AND n < ${start + CHUNK_ROWS} ORDER BY n`,
    );
    const answers = await this.#generate(model, rows);
    const { copies } = this.#input;
    for (const [index, row] of rows.entries()) {
      await this.#take(row, answers.slice(index * copies, (index + 1) * copies));
    }
  }

  async #generate(model: LanguageModelV1, rows: readonly Row[]): Promise<GenerateResult['answers']> {
    const { system, instruction, copies, maxNewTokens, temperature, topP, seed } = this.#input;
    const { signal } = this.#context;
    // What a model draws depends on the seed and the row's id, so that each copy needs an id of its own.
    const requests = rows.flatMap((row) =>
      Array.from({ length: copies }, (_, copy) => ({
        id: `${String(row['id'])}.p${copy + 1}`,
        messages: buildMessages({ system, instruction, shots: [], input: String(row['input']) }),
      })),
    );
    const result = await generate(model, {
      rows: requests,
      maxTokens: maxNewTokens,
      temperature,
      topP,
      seed,
      signal,
      onProgress: (progress) => this.#context.heartbeat({ phase: this.#database.phase, ...progress }),
    });
    this.#usage = sumUsage([this.#usage, usageOf(result)]);
    return result.answers;
  }

  /** Judges the answers to one row and keeps those that are good. */
  async #take(row: Row, answers: GenerateResult['answers']): Promise<void> {
    const parent = String(row['input']);
    const siblings: string[] = [];
    for (const answer of answers) {
      const text = unquoted(answer.text);
      const verdict =
        judge(parent, { text, finish: answer.finish }, this.#input) ?? (await this.#repeated(text, siblings));
      this.#made += 1;
      if (verdict !== null) this.#reject(row, text, verdict);
      else {
        siblings.push(text);
        await this.#accept(row, text, siblings.length);
      }
    }
  }

  async #repeated(text: string, siblings: readonly string[]): Promise<Verdict | null> {
    const { maxSimilarity } = this.#input;
    if (
      siblings.some((one) => similarity(one, text) >= maxSimilarity || plainText(one) === plainText(text))
    ) {
      return { code: 'repeat', reason: 'nearly the same as another paraphrase of the row' };
    }
    const known = await this.#database.number(
      `SELECT count(*) FROM taken WHERE k = md5(text_key(${literal(text)}))`,
    );
    return known === 0 ? null : { code: 'repeat', reason: 'the same text as the input of another row' };
  }

  async #accept(row: Row, text: string, copy: number): Promise<void> {
    this.#accepted += 1;
    await this.#database.run(`INSERT INTO made VALUES (${Number(row['row'])}, ${copy}, ${literal(text)})`);
    await this.#database.run(`INSERT INTO taken VALUES (md5(text_key(${literal(text)})))`);
  }

  /** Counts it and keeps it as a sample: one of each rule, then whatever comes first. */
  #reject(row: Row, text: string, { code, reason }: Verdict): void {
    const sample = {
      row: row['row'] ?? null,
      reason: `paraphrase of row ${Number(row['row'])}: ${reason}`,
      input: text,
      output: row['output'] ?? null,
    };
    const kept = this.#rejected[code] === 0 ? this.#samples : this.#moreSamples;
    if (kept.length < MAX_SAMPLES_HELD) kept.push(sample);
    this.#rejected[code] += 1;
  }
}
