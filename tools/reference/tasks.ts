/**
 * `npm run parity:tasks [-- --reviews FILE] [--json]`: two small tasks through our engine (the plugin's own TypeScript)
 * and through transformers, on the same rows and the same fp32 weights. The sentiment file is not part of the project:
 * `id<TAB>rating<TAB>sentence`, by default ../shared/data/review-sentiment-real.tsv. Exit code 1 on a miss.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { print, say, table } from '../../cli/lib/terminal.ts';
import { EngineLanguageModel } from '../../plugins/nf4-lora/worker/engine-language-model.ts';
import { EnginePool } from '../../plugins/nf4-lora/worker/engine-pool.ts';
import { ROWS } from '../../plugins/nf4-lora/worker/protocol.ts';
import { readRows, writeRows } from '../../plugins/sdk/process/rows.ts';
import { ensureEngine } from '../../runtime/bootstrap/engine.mjs';
import { DEFAULT_MODEL, ensureModel } from '../../runtime/bootstrap/model.mjs';
import { createProgress } from '../../runtime/bootstrap/progress.mjs';
import { ROOT, runForJson } from './programs.ts';
import { questionRows, sentimentRows, type Context, type QuestionRow, type ScoreRow } from './task-rows.ts';
import { referencePython } from './venv.ts';

const SENTIMENT_ROWS = 300;
/** Labels on which both must agree. */
const MIN_AGREEING = 297;
const SHOTS = 4;
const QUESTIONS = 30;
/** Right answers may differ by so many. */
const MAX_DIFFERENCE = 1;
const NEW_TOKENS = 24;
const SEED = 5;
const CONTEXTS: readonly Context[] = ['none', 'right passage', 'three passages'];

type Tasks = Readonly<
  Record<string, { readonly scores: ScoreRow[] } | { readonly questions: QuestionRow[] }>
>;
/** Label numbers, or replies, by task. */
type Answers = Record<string, { labels?: number[]; replies?: string[] }>;

const answersSchema = z.record(
  z.string(),
  z.strictObject({ labels: z.array(z.int()).optional(), replies: z.array(z.string()).optional() }),
);

async function allTasks(reviews: string): Promise<Tasks> {
  const sentiment = async (shots: number) => ({
    scores: await sentimentRows(reviews, SENTIMENT_ROWS, shots, SEED),
  });
  const questions = CONTEXTS.map((context) => [
    `questions, ${context === 'none' ? 'zero-shot' : context}`,
    { questions: questionRows(QUESTIONS, context, SEED) },
  ]);
  return {
    'sentiment, zero-shot': await sentiment(0),
    [`sentiment, ${SHOTS} shots`]: await sentiment(SHOTS),
    ...(Object.fromEntries(questions) as Tasks),
  };
}

/** Our answers, through the plugin. */
async function engineAnswers(tasks: Tasks, model: string, room: string): Promise<Answers> {
  const pool = new EnginePool({ threads: 2 });
  const services = {
    pool,
    findModelPath: () => Promise.resolve(model),
    stallMs: 600_000,
    batchRows: 16,
    facts: new Map(),
  };
  const language = new EngineLanguageModel({ id: DEFAULT_MODEL, options: { weightFormat: 'f32' } }, services);
  const signal = new AbortController().signal;
  const answers: Answers = {};
  try {
    for (const [name, task] of Object.entries(tasks)) {
      say(`engine: ${name}`);
      if ('scores' in task) {
        answers[name] = { labels: await scoreLabels(pool, model, task.scores, room) };
        continue;
      }
      const rows = task.questions.map(({ id, messages }) => ({ id, messages }));
      const made = await language.doGenerate({ rows, maxTokens: NEW_TOKENS, signal });
      answers[name] = { replies: made.answers.map(({ text }) => text) };
    }
  } finally {
    await pool.close();
  }
  return answers;
}

/** Index of the most probable continuation of each row's plain prompt. */
async function scoreLabels(
  pool: EnginePool,
  model: string,
  rows: ScoreRow[],
  room: string,
): Promise<number[]> {
  const [requestsPath, outPath] = [join(room, 'in.jsonl'), join(room, 'out.jsonl')];
  await writeRows(
    requestsPath,
    rows.map(({ id, prompt, continuations }) => ({ id, prompt, continuations })),
  );
  await pool.use({ path: model, weightFormat: 'f32' }, undefined, (engine) =>
    engine.process.request('score', { requestsPath, outPath }),
  );
  const scored = await readRows(outPath, ROWS.score.output);
  return scored.map(({ scores }) => {
    const values = scores.map(({ logProbNats }) => logProbNats);
    return values.indexOf(Math.max(...values));
  });
}

/** One line of the table. */
interface Line {
  readonly task: string;
  readonly rows: number;
  /** Right answers. */
  readonly engine: number;
  readonly transformers: number;
  /** Rows with the same label or reply. */
  readonly equal: number;
  readonly goal: string;
  readonly passed: boolean;
}

function compare(tasks: Tasks, ours: Answers, theirs: Answers): Line[] {
  return Object.entries(tasks).map(([task, rows]) => {
    const [a, b] = [ours[task] ?? {}, theirs[task] ?? {}];
    const same = (x: readonly unknown[] = [], y: readonly unknown[] = []) =>
      x.filter((v, at) => v === y[at]).length;
    if ('scores' in rows) {
      const right = (labels: number[] = []) =>
        rows.scores.filter((row, at) => labels[at] === row.wanted).length;
      const equal = same(a.labels, b.labels);
      const goal = `>= ${MIN_AGREEING} labels equal`;
      const counts = { rows: rows.scores.length, engine: right(a.labels), transformers: right(b.labels) };
      return { task, ...counts, equal, goal, passed: equal >= MIN_AGREEING };
    }
    const right = (replies: string[] = []) =>
      rows.questions.filter((row, at) => replies[at]?.includes(row.wanted) === true).length;
    const [engine, transformers] = [right(a.replies), right(b.replies)];
    const passed =
      a.replies?.length === b.replies?.length && Math.abs(engine - transformers) <= MAX_DIFFERENCE;
    const goal = `right answers differ by <= ${MAX_DIFFERENCE}`;
    return {
      task,
      rows: rows.questions.length,
      engine,
      transformers,
      equal: same(a.replies, b.replies),
      goal,
      passed,
    };
  });
}

async function referenceAnswers(tasks: Tasks, model: string, room: string): Promise<Answers> {
  const [input, output] = [join(room, 'tasks.json'), join(room, 'answers.json')];
  await writeFile(input, JSON.stringify(tasks));
  const python = await referencePython(say);
  const args = ['test/parity/tasks.py', model, input, output, String(NEW_TOKENS)];
  await runForJson(python, args, { onLine: (line) => say(`transformers: ${line}`) });
  return answersSchema.parse(JSON.parse(await readFile(output, 'utf8')));
}

async function main(): Promise<void> {
  const reviews = {
    type: 'string',
    default: join(ROOT, '../shared/data/review-sentiment-real.tsv'),
  } as const;
  const { values } = parseArgs({ options: { reviews, json: { type: 'boolean', default: false } } });
  const room = await mkdtemp(join(tmpdir(), 'escada-parity-tasks-'));
  const progress = createProgress();
  try {
    const tasks = await allTasks(values.reviews);
    await ensureEngine({ root: ROOT, progress });
    const { path: model } = await ensureModel({ id: DEFAULT_MODEL, progress });
    progress.close();
    const ours = await engineAnswers(tasks, model, room);
    const lines = compare(tasks, ours, await referenceAnswers(tasks, model, room));
    const share = (right: number, rows: number) => `${right} (${(right / rows).toFixed(3)})`;
    const cells = (l: Line) => [share(l.engine, l.rows), share(l.transformers, l.rows), String(l.equal)];
    const row = (l: Line) => [l.passed ? 'passed' : 'MISSED', l.task, String(l.rows), ...cells(l), l.goal];
    const head = ['', 'task', 'rows', 'engine right', 'transformers right', 'equal', 'goal'];
    print(values.json ? JSON.stringify(lines) : table([head, ...lines.map(row)]));
    if (lines.some(({ passed }) => !passed)) process.exitCode = 1;
  } finally {
    progress.close();
    await rm(room, { recursive: true, force: true });
  }
}

await main();
