import type { ArtifactStoreV1 } from '../../plugins/sdk/contracts/artifact-store.ts';
import type { ModelDescription } from '../../plugins/sdk/contracts/language-model.ts';
import type { TrainingSample } from '../../plugins/sdk/contracts/trainer.ts';
import type { MeasuredCandidate } from '../../schemas/outcome/candidate.ts';
import type { WriteReportInput } from '../../schemas/plan/control-activities.ts';
import type { AdaptationPlan } from '../../schemas/plan/adaptation-plan.ts';
import type { ArtifactRef } from '../../schemas/common/artifact-ref.ts';
import type { JsonObject } from '../../schemas/common/json.ts';
import type { TrainingWarning } from '../../schemas/outcome/warning.ts';
import { readJsonl, type Prediction } from '../../plugins/sdk/jsonl.ts';
import { costPoints, type CostPoint } from './costs.ts';
import { funnelSteps, type FunnelStep } from './funnel.ts';
import { reportProfile, type ReportProfile } from './profile.ts';
import { skippedRungs, type SkippedRung } from './skipped-rungs.ts';

/** Rows shown side by side: the first ones of the test split, picked by nobody. */
const SAMPLE_ROWS = 6;

export interface SampleRow {
  readonly input: string;
  readonly reference: string;
  readonly answers: readonly { readonly rung: string; readonly text: string }[];
}

export interface LossPoint {
  readonly step: number;
  /** Null where it was not finite. */
  readonly lossNats: number | null;
}

/** The training run behind a finalist's adapter. */
export interface Training {
  readonly rung: string;
  readonly rows: number;
  readonly config: JsonObject;
  readonly losses: readonly LossPoint[];
  readonly warnings: readonly TrainingWarning[];
  /** Replies after every epoch, in the order of steps. */
  readonly samples: readonly TrainingSample[];
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
  readonly costs: readonly CostPoint[];
  readonly funnel: readonly FunnelStep[];
  readonly profile: ReportProfile;
  readonly trainings: readonly Training[];
  readonly skippedRungs: readonly SkippedRung[];
  readonly samples: readonly SampleRow[];
  /** As the worker that wrote the report sees the model; null when it cannot open it. */
  readonly model: ModelDescription | null;
}

export interface ReportDeps {
  readonly store: ArtifactStoreV1;
  /** What the provider says of the model, null where it says nothing; rejects where the model cannot be opened. */
  readonly describeModel: (model: AdaptationPlan['spec']['model']) => Promise<ModelDescription | null>;
}

/** Brings together what the artifacts of a run hold. */
export async function collectReportData(input: WriteReportInput, deps: ReportDeps): Promise<ReportData> {
  const { store } = deps;
  const { plan: planArtifact, curation, ...rest } = input;
  const plan = (await store.readJson(planArtifact)) as AdaptationPlan;
  return {
    ...rest,
    plan,
    planArtifact,
    split: splitSizes(curation['split'] as JsonObject | undefined),
    costs: costPoints(input.test, input.decision.candidateId),
    funnel: await funnelSteps(plan, curation, store),
    profile: reportProfile(curation),
    trainings: await trainings(input.candidates, store),
    skippedRungs: skippedRungs(plan, input.path, input.rungs),
    samples: await samples(input, store),
    // A worker without the model's files can still write what the run found.
    model: await deps.describeModel(plan.spec.model).catch(() => null),
  };
}

function splitSizes(split: JsonObject | undefined): ReportData['split'] {
  const rows = (split?.['rows'] ?? {}) as { train?: number; dev?: number; test?: number };
  const unused = typeof split?.['unused'] === 'number' ? split['unused'] : 0;
  return { train: rows.train ?? 0, dev: rows.dev ?? 0, test: rows.test ?? 0, unused };
}

async function trainings(
  candidates: readonly MeasuredCandidate[],
  store: ArtifactStoreV1,
): Promise<Training[]> {
  const found: Training[] = [];
  for (const { rung, training } of candidates) {
    if (training === null) continue;
    const read = (await store.readJson(training.artifact)) as Omit<Training, 'rung' | 'warnings' | 'samples'>;
    // A trainer or build that knew neither may have left the artifact.
    found.push({ warnings: [], samples: [], ...read, rung });
  }
  return found;
}

async function samples(input: WriteReportInput, store: ArtifactStoreV1): Promise<SampleRow[]> {
  const answers = await Promise.all(
    input.test.candidates.map(async ({ rung, score }) => ({
      rung,
      rows: await readJsonl<Prediction>(store, score.predictions, { limit: SAMPLE_ROWS }),
    })),
  );
  return (answers[0]?.rows ?? []).slice(0, SAMPLE_ROWS).map((row, index) => ({
    input: row.input,
    reference: row.reference,
    answers: answers.map(({ rung, rows }) => ({ rung, text: rows[index]?.prediction ?? '' })),
  }));
}
