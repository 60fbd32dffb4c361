import type { ArtifactStoreV1 } from '../../plugins/api/artifact-store.ts';
import type { WriteReportInput } from '../../schemas/adapt/control.ts';
import type { AdaptationPlan } from '../../schemas/adapt/plan.ts';
import type { ArtifactRef } from '../../schemas/common/artifact-ref.ts';
import type { JsonObject, JsonValue } from '../../schemas/common/json.ts';
import { readJsonl, type Prediction } from '../llm/jsonl.ts';

/** Rows shown side by side. */
const SAMPLE_ROWS = 6;

export interface FunnelStep {
  readonly node: string;
  readonly rows: number;
  readonly dropped: number;
  readonly samples: readonly { readonly reason: string; readonly input: string }[];
}

export interface SampleRow {
  readonly input: string;
  readonly reference: string;
  readonly answers: readonly { readonly rung: string; readonly text: string }[];
}

export interface LossPoint {
  readonly step: number;
  readonly lossNats: number;
}

/** Everything a report shows; its JSON twin is this value. */
export interface ReportData extends Omit<WriteReportInput, 'plan' | 'curation'> {
  readonly plan: AdaptationPlan;
  readonly planArtifact: ArtifactRef;
  readonly split: {
    readonly train: number;
    readonly dev: number;
    readonly test: number;
    readonly unused: number;
  };
  readonly funnel: readonly FunnelStep[];
  readonly losses: readonly LossPoint[];
  readonly trainingConfig: JsonObject | null;
  readonly samples: readonly SampleRow[];
}

/** Brings together what the artifacts of a run hold. */
export async function collectReportData(
  input: WriteReportInput,
  store: ArtifactStoreV1,
): Promise<ReportData> {
  const { plan: planArtifact, curation, ...rest } = input;
  const plan = (await store.readJson(planArtifact)) as AdaptationPlan;
  const trained = input.candidates.find((candidate) => candidate.training !== null);
  const training =
    trained?.training == null
      ? null
      : ((await store.readJson(trained.training)) as { config: JsonObject; losses: readonly LossPoint[] });
  return {
    ...rest,
    plan,
    planArtifact,
    split: splitSizes(curation['split'] as JsonObject | undefined),
    funnel: await funnel(curation, store),
    losses: training?.losses ?? [],
    trainingConfig: training?.config ?? null,
    samples: await samples(input, store),
  };
}

function splitSizes(split: JsonObject | undefined): ReportData['split'] {
  const rows = (split?.['rows'] ?? {}) as { train?: number; dev?: number; test?: number };
  const unused = typeof split?.['unused'] === 'number' ? split['unused'] : 0;
  return { train: rows.train ?? 0, dev: rows.dev ?? 0, test: rows.test ?? 0, unused };
}

async function funnel(
  curation: { readonly [node: string]: JsonValue },
  store: ArtifactStoreV1,
): Promise<FunnelStep[]> {
  const steps: FunnelStep[] = [];
  for (const [node, value] of Object.entries(curation)) {
    const output = value as JsonObject;
    if (typeof output['rows'] !== 'number' || typeof output['dropped'] !== 'number') continue;
    const ref = output['droppedSamples'] as unknown as ArtifactRef | undefined;
    const dropped =
      ref === undefined ? [] : ((await store.readJson(ref)) as { reason: string; input: string | null }[]);
    // An empty cell is one of the reasons for which a row is dropped.
    const shown = dropped.map(({ reason, input }) => ({ reason, input: input ?? '' }));
    steps.push({ node, rows: output['rows'], dropped: output['dropped'], samples: shown });
  }
  return steps;
}

async function samples(input: WriteReportInput, store: ArtifactStoreV1): Promise<SampleRow[]> {
  const answers = await Promise.all(
    input.test.candidates.map(async ({ rung, score }) => ({
      rung,
      rows: await readJsonl<Prediction>(store, score.predictions),
    })),
  );
  return (answers[0]?.rows ?? []).slice(0, SAMPLE_ROWS).map((row, index) => ({
    input: row.input,
    reference: row.reference,
    answers: answers.map(({ rung, rows }) => ({ rung, text: rows[index]?.prediction ?? '' })),
  }));
}
