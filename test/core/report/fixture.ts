/** A finished run as the workflow hands it to the report, with real artifacts; every text can be chosen. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileStore } from '../../../core/store/file-store.ts';
import { putJsonl, type Prediction } from '../../../plugins/sdk/jsonl.ts';
import { collectReportData, type ReportData } from '../../../core/report/report-data.ts';
import { adaptationSpecSchema } from '../../../schemas/spec/adaptation-spec.ts';
import type { MeasuredCandidate, Score } from '../../../schemas/outcome/candidate.ts';
import type { MeasuredRecord, PathStep } from '../../../schemas/outcome/decision.ts';
import type { WriteReportInput } from '../../../schemas/plan/control-activities.ts';
import { STANDARD_FLOWCHART } from '../../fixtures/standard-flowchart.ts';
import type { Flowchart } from '../../../schemas/spec/flowchart.ts';
import type { AdaptationPlan } from '../../../schemas/plan/adaptation-plan.ts';
import type { PlannedStep } from '../../../schemas/plan/pipeline-plan.ts';

/** Texts that a test selects: user text in every place that can hold it. */
export interface Texts {
  readonly input: string;
  readonly answer: string;
  readonly reference: string;
  readonly reason: string;
  readonly instruction: string;
  readonly workflowId: string;
  readonly title: string;
  readonly rung: string;
  readonly metric: string;
}

export const TEXTS: Texts = {
  input: 'name: Alder kettle; material: steel; colour: moss',
  answer: 'The Alder kettle is made of steel and comes in moss.',
  reference: 'Meet the Alder kettle: brushed steel, in a quiet moss.',
  reason: 'output is blank',
  instruction: 'Write the shop text in our voice.',
  workflowId: 'adapt-products-1',
  title: 'Is the target met, on the corrected lower bound?',
  rung: 'icl',
  metric: 'chrf',
};

export const MODEL = {
  cacheKey: 'd1ge57 nf4 b1 avx512',
  weightsDigest: 'd1ge57',
  weightFormat: 'nf4',
  contextTokens: 8192,
  parameters: 134_515_008,
  details: { Engine: 'b1, instruction set avx512' },
};

const MEASURED = [
  { at: 'zero-shot', value: 0.289, half: 0.021, seconds: 31, promptTokens: 3300 },
  { at: 'second', value: 0.587, half: 0.043, seconds: 88, promptTokens: 13_800 },
  { at: 'peft', value: 0.681, half: 0.032, seconds: 33, promptTokens: 3310 },
] as const;

const ROWS = 48;

const USAGE = { promptTokens: 0, completionTokens: 0, trainingTokens: 0, seconds: 0, peakMemoryBytes: null };

const CHOICE = {
  provider: 'nf4-lora',
  id: 'smollm2-135m-instruct',
  options: { weightFormat: 'nf4' },
} as const;

/** Something that was measured beside the score. */
export const RECALL = { id: 'recall@1', title: 'Recall@1', value: 0.75, details: { rows: 32 } } as const;

/** What a candidate took. */
export const COST = {
  ...{ promptTokens: 3310, completionTokens: 1900, trainingTokens: 5120, secondsPerAnswer: 0.6875 },
  peakMemoryBytes: 3 * 2 ** 29,
} as const;

function step(id: string, summary: string, needs: readonly string[], counts = true): PlannedStep {
  const times = { startToCloseTimeoutMs: 1, heartbeatTimeoutMs: 1 };
  return { id, form: 'step', uses: `curate.${id}@1`, with: {}, needs, resource: 'cpu', retry: 'readOnly', summary, ...times, ...(counts ? { countsRows: true } : {}) }; // prettier-ignore
}

function planFor(texts: Texts, flowchart: Flowchart): AdaptationPlan {
  const parsed = adaptationSpecSchema.parse({
    name: 'products',
    task: { instruction: texts.instruction },
    data: { source: { path: 'rows.csv' }, columns: { input: 'input', output: 'output' } },
    target: 0.62,
    budget: { seconds: 3600 },
  });
  const model = { provider: 'nf4-lora', id: 'smollm2-135m-instruct', options: { weightFormat: 'nf4' } };
  const spec = { ...parsed, model };
  const rung = (id: string, eligible: boolean, reason: string) =>
    ({
      id,
      eligible,
      eligibilityReason: reason,
      estimateSeconds: 60,
      estimateTokens: 6000,
      order: 0,
      plan: null,
    }) as const;
  const nodes = [
    step('read', 'read the data', []),
    step('null-filter', `drop rows without ${texts.title}`, ['read']),
    step('over-sample', 'repeat rows of rare groups', ['null-filter']),
    step('split', 'split by group', ['over-sample'], false),
  ];
  return {
    interpreterVersion: 1,
    spec: { ...spec, metrics: { ...spec.metrics, primary: { id: texts.metric, with: {} } } },
    specDigest: 'a'.repeat(64),
    flowchart,
    curation: { interpreterVersion: 1, name: 'standard', nodes },
    curationInputs: {},
    rungs: [
      rung('zero-shot', true, 'baseline'),
      rung(texts.rung, true, 'rows can be shown'),
      rung('rag', false, `The profile asks for no outside knowledge: ${texts.reason}`),
      rung('peft', true, '240 rows'),
      rung('full', true, 'enough rows'),
    ],
    test: { interpreterVersion: 1, name: 'test', nodes: [] },
    testEstimateSeconds: 10,
    testEstimateTokens: 1000,
    plugins: [{ name: 'rungs', version: '0.1.0' }],
  };
}

/** A path through the standard flowchart that runs every rung but retrieval. */
function pathFor(texts: Texts): PathStep[] {
  const target = { fact: 'best.low', op: '>=', value: { fact: 'target' }, right: 0.62 } as const;
  const visit = (node: string, answer: PathStep['answer'], left?: number): PathStep => {
    const { title } = STANDARD_FLOWCHART.nodes[node] ?? { title: '' };
    const comparisons = left === undefined ? [] : [{ ...target, left, holds: left >= target.right }];
    return { node, title: answer === 'no' ? texts.title : title, answer, comparisons };
  };
  return [
    visit('try-zero-shot', 'tried'),
    visit('zero-shot-enough', 'no', 0.268),
    visit('icl-eligible', 'yes'),
    visit('icl-affordable', 'yes'),
    visit('try-icl', 'tried'),
    visit('icl-enough', 'no', 0.54),
    visit('rag-eligible', 'no'),
    visit('peft-eligible', 'yes'),
    visit('peft-affordable', 'yes'),
    visit('try-peft', 'tried'),
    visit('peft-enough', 'yes', 0.638),
    visit('target-met', 'end'),
  ];
}

export interface ReportPlace {
  readonly store: FileStore;
  readonly input: WriteReportInput;
  /** What the artifacts of `input` hold. */
  readonly data: ReportData;
  close(): Promise<void>;
}

/** Writes the artifacts of a run into a store of its own. Close it. */
export async function reportPlace(
  changes: Partial<Texts> = {},
  flowchart: Flowchart = STANDARD_FLOWCHART,
): Promise<ReportPlace> {
  const texts = { ...TEXTS, ...changes };
  const folder = await mkdtemp(join(tmpdir(), 'escada-report-'));
  const store = new FileStore(folder);
  const input = await inputFor(store, texts, flowchart);
  const data = await collectReportData(input, { store, describeModel: async () => MODEL });
  return { store, input, data, close: () => rm(folder, { recursive: true, force: true }) };
}

async function inputFor(store: FileStore, texts: Texts, flowchart: Flowchart): Promise<WriteReportInput> {
  const losses = Array.from({ length: 60 }, (_, at) => ({
    step: at + 1,
    lossNats: 3 / (1 + at / 9) + (at % 3) / 9,
  }));
  const warnings = [
    { kind: 'skipped-step', step: 13, message: 'the loss of step 13 is NaN', rows: ['pot'] },
  ] as const;
  const skipped = losses.map((row) => (row.step === 13 ? { ...row, lossNats: null, skipped: true } : row));
  const config = { r: 16, learningRate: 1e-3 };
  const replies = [30, 60].flatMap((at) =>
    Array.from({ length: 9 }, (_, row) => ({
      epoch: at / 30,
      step: at,
      id: `row-${row}`,
      input: texts.input,
      reply: row === 1 ? '' : `${texts.answer} (${at})`,
      reference: texts.reference,
      replyTokens: 32,
      referenceTokens: 20,
      finish: row === 0 ? 'length' : 'stop',
    })),
  );
  const training = await store.putJson({ config, rows: 240, losses: skipped, warnings, samples: replies });
  const adapter = await store.putJson({ entries: [] });
  const candidates: MeasuredCandidate[] = [];
  const rungs: MeasuredRecord[] = [];
  for (const { at, ...measured } of MEASURED) {
    const rung = at === 'second' ? texts.rung : at;
    const usage = { ...USAGE, trainingTokens: 5120, peakMemoryBytes: 3 * 2 ** 29 };
    const tuned =
      at === 'peft'
        ? { adapter, training: { artifact: training, usage } }
        : { adapter: null, training: null };
    const shown = { rows: adapter, shots: 3, selection: 'nearest', retriever: 'lexical' } as const;
    const recipe = {
      system: '',
      instruction: texts.instruction,
      demonstrations: at === 'second' ? shown : null,
      retrieval: null,
    };
    const dev = await scoreFor(store, texts, measured);
    candidates.push({ id: rung, rung, model: CHOICE, recipe, ...tuned, diagnostics: [RECALL], dev });
    rungs.push(recordFor(rung, dev, rungs.at(-1), texts));
  }
  const best = candidates.at(-1);
  if (best === undefined) throw new Error('no candidate');
  return {
    workflowId: texts.workflowId,
    plan: await store.putJson(planFor(texts, flowchart)),
    curation: await curationFor(store, texts),
    candidates,
    decision: {
      rung: best.rung,
      candidateId: best.id,
      verdict: 'target-met',
      reason: `peft wins: ${texts.reason}`,
    },
    rungs,
    approvals: [],
    test: {
      metric: texts.metric,
      candidates: candidates.map(({ id, rung, dev }) => ({
        id,
        rung,
        value: dev.value,
        low: dev.low,
        high: dev.high,
        n: dev.n,
        score: dev,
      })),
      failed: [],
      comparisons: [{ rung: 'peft', against: texts.rung, delta: 0.094, low: 0.052, high: 0.136 }],
    },
    path: pathFor(texts),
    facts: {},
    seconds: 812,
  };
}

async function scoreFor(
  store: FileStore,
  texts: Texts,
  measured: Omit<(typeof MEASURED)[number], 'at'>,
): Promise<Score> {
  const row = { input: texts.input, reference: texts.reference, prediction: texts.answer };
  const rows = Array.from({ length: ROWS }, (_, at): Prediction => ({
    ...row,
    id: String(at),
    promptTokens: 70,
    completionTokens: 40,
    finish: 'stop',
  }));
  const { value, half, seconds, promptTokens } = measured;
  return {
    metric: texts.metric,
    value,
    low: value - half,
    high: value + half,
    n: ROWS,
    statistics: await store.putJson([]),
    secondary: [{ metric: 'token-f1', value: 0.5 }],
    predictions: await putJsonl(store, rows),
    usage: { ...USAGE, promptTokens, completionTokens: 1900, seconds },
  };
}

function recordFor(
  rung: string,
  dev: Score,
  before: MeasuredRecord | undefined,
  texts: Texts,
): MeasuredRecord {
  const { metric, value, low, high, n } = dev;
  const gain =
    before === undefined ? null : { against: before.rung, delta: value - before.value, low: 0.02, high: 0.4 };
  return { outcome: 'measured', rung, metric, value, low, high, correctedLow: low - 0.01, n, tried: 3, seconds: 95, candidateId: rung, gain, cost: COST, diagnostics: [RECALL], skipped: [], reason: `Measured. ${texts.reason}` }; // prettier-ignore
}

async function curationFor(store: FileStore, texts: Texts): Promise<WriteReportInput['curation']> {
  const sample = [
    { row: 3, reason: texts.reason, input: texts.input },
    { row: 4, reason: 'input is null', input: null },
  ];
  const droppedSamples = (await store.putJson(sample)) as never;
  return {
    read: { rows: 400, dropped: 0, droppedSamples: (await store.putJson([])) as never },
    'null-filter': { rows: 383, dropped: 17, droppedSamples },
    'over-sample': { rows: 401, dropped: 2, droppedSamples },
    split: { rows: { train: 240, dev: 32, test: 48 }, unused: 81 },
  };
}
