import type { ValueSchema } from './value-schema.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';
import type { RetryClass } from '../../../schemas/plan/pipeline-plan.ts';
import type { ResourceClass } from '../../../schemas/plan/queues.ts';
import type { ModelRef } from '../../../schemas/common/model-ref.ts';
import type { ArtifactObjectsV1, CheckpointsV1 } from './artifact-store.ts';
import type { LanguageModelProviderV1, LanguageModelV1, ModelCapability } from './language-model.ts';
import type { MetricV1 } from './metric.ts';
import type { ComponentRefs } from './component-refs.ts';
import type { RetrieverV1 } from './retriever.ts';
import type { TrainerV1 } from './trainer.ts';

/** What a step may ask of its host. Every look-up throws a coded error that lists what there is. */
export interface StepServices {
  readonly store: ArtifactObjectsV1;
  languageModel(model: ModelRef): LanguageModelV1;
  trainer(id: string): TrainerV1;
  metric(choice: { readonly id: string; readonly with: JsonObject }): MetricV1;
  retriever(id: string): RetrieverV1;
  /**
   * A user's file: its absolute path, links followed, and the name that the spec gave it, whose ending gives the format.
   * Throws `PATH_OUTSIDE_DATA_ROOTS` or `FILE_NOT_FOUND`.
   */
  resolveDataPath(path: string): Promise<{ readonly path: string; readonly name: string }>;
}

export interface StepContext extends StepServices {
  /** Aborted on cancellation, time-out, pause, reset and worker shutdown. */
  readonly signal: AbortSignal;
  /** Reports progress; sent on at the pace Temporal allows. It counts as movement, so never call it from a timer. */
  heartbeat(details: JsonObject): void;
  /** Folder of this attempt, empty at its start. */
  readonly scratchDir: string;
  /** Checkpoints of this step's action, those of other attempts included. */
  readonly checkpoints: CheckpointsV1;
}

/** Shortest heartbeat time-out of a kind: a worker that is busy for a second or two must not be taken for dead. */
export const MIN_HEARTBEAT_TIMEOUT_MS = 5000;

/** How long a step may go without a sign of movement where its kind says nothing else. */
export const DEFAULT_STALL_TIMEOUT_MS = 900_000;

/** Every retry class, see `RetryClass`. */
export const RETRY_CLASSES = [
  'readOnly',
  'idempotentWrite',
  'resumable',
  'billable',
] as const satisfies readonly RetryClass[];

/** What is known of components when a plan is compiled. */
export interface PlanLookups {
  /** What a model provider declares; undefined for an id that is not known yet, or that no provider has. */
  provider(id: string | undefined): Pick<LanguageModelProviderV1, 'id' | 'resource' | 'billable'> | undefined;
}

/** Options as far as they are known when a plan is compiled: at any depth, what only a run knows is undefined. */
export type KnownOptions<With> = With extends readonly (infer Member)[]
  ? readonly (KnownOptions<Member> | undefined)[]
  : With extends object
    ? { readonly [Field in keyof With]?: KnownOptions<With[Field]> | undefined }
    : With;

/** A value that a plan holds, or a function that gives it for one step. Pure: a plan is compiled by clients and workers. */
export type PlannedBy<Value, With = unknown> =
  | Value
  // As a method's, so that kinds of every option type fit one registry.
  | { decide(input: KnownOptions<With>, lookups: PlanLookups): Value }['decide'];

/** A kind of step: schema of its options, schema of its output, how it is scheduled, and what it does. */
export interface StepKindV1<With = unknown, Output extends JsonObject = JsonObject> {
  readonly specificationVersion: 'v1';
  /** `name@major`, also the Activity type. */
  readonly kind: string;
  /** What the step does, in a few words: its line in timelines where `summarize` gives none. */
  readonly title: string;
  /** What the step needs. Options may be known in part: give a default for what is not, as `MODEL_STEP` does. */
  readonly resource: PlannedBy<ResourceClass, With>;
  /** How it may be tried again. The worker asks once more with all options: a step that is billable then is tried no oftener. */
  readonly retry: PlannedBy<RetryClass, With>;
  /** True when equal inputs give equal outputs, so that a stored result may be used. */
  readonly cacheable: boolean;
  readonly startToCloseTimeoutMs: number;
  /** At least `MIN_HEARTBEAT_TIMEOUT_MS`. The worker heartbeats at half of it or more often, for as long as the step moves. */
  readonly heartbeatTimeoutMs: number;
  /**
   * Longest time without a movement before an attempt fails with `STEP_STALLED`; default `DEFAULT_STALL_TIMEOUT_MS`. A
   * movement is: a call of `heartbeat`, an event or sign of life of an engine or trainer, a message of a thread, rows
   * that arrive. Waiting for the device, statements of the table engine and operations with a limit of their own do not count.
   */
  readonly stallTimeoutMs?: number;
  readonly withSchema: ValueSchema<With>;
  /**
   * A field `usage` is `usageSchema`: what the step passed through a model, which budgets and records count. Where `with`
   * has a field `usage`, too, the step hands on what another one used, and nothing is counted twice.
   */
  readonly outputSchema: ValueSchema<Output>;
  /** True for a step that takes rows and passes rows on: its output has the fields of `rowCountsSchema`. */
  readonly countsRows?: boolean;
  /** Fields of `with` that name what a plugin brings. */
  readonly names?: ComponentRefs;
  /** Capabilities that the model in `with.model` must have; a plan with another one is refused. */
  readonly modelCapabilities?: readonly ModelCapability[];
  /** One plain-text line for timelines, which says more of these options; `with` may still hold references. */
  summarize?(input: JsonObject): string;
  /** What else the result depends on (engine build, instruction-set class …). */
  doCacheSalt?(input: With, services: StepServices, signal: AbortSignal): Promise<string>;
  doRun(input: With, context: StepContext): Promise<Output>;
}
