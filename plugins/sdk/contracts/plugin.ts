import type { PipelineSpecInput } from '../../../schemas/spec/pipeline-spec.ts';
import type { ErrorEntry } from '../../../schemas/errors/error-codes.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';
import type { ArtifactStoreFactoryV1 } from './artifact-store.ts';
import type { LanguageModelProviderV1 } from './language-model.ts';
import type { MetricFactoryV1 } from './metric.ts';
import type { RetrieverV1 } from './retriever.ts';
import type { RungV1 } from './rung.ts';
import type { StepKindV1 } from './step-kind.ts';
import type { TrainerV1 } from './trainer.ts';
import type { ValueSchema } from './value-schema.ts';

export const PLUGIN_API_VERSION = 1;

/** Where a plugin adds what it brings. Names must be new: a clash is an error, never an overwrite. */
export interface PluginRegistrar {
  addStepKind<With, Output extends JsonObject>(kind: StepKindV1<With, Output>): void;
  addRung(rung: RungV1): void;
  addMetric(metric: MetricFactoryV1): void;
  addRetriever(retriever: RetrieverV1): void;
  addLanguageModelProvider(provider: LanguageModelProviderV1): void;
  addTrainer(trainer: TrainerV1): void;
  /** A kind of artifact store; settings choose it by its id. */
  addArtifactStore<Options>(factory: ArtifactStoreFactoryV1<Options>): void;
  /** A named curation pipeline; specs choose it by name. */
  addPipeline(name: string, pipeline: PipelineSpecInput): void;
}

/** A plugin is a value. The host checks its name, version, needs and options before anything polls. */
export interface PluginV1 {
  readonly name: string;
  /** Its own version, such as that of its package: results made by another version are not used again. */
  readonly version: string;
  readonly apiVersion: number;
  /** Names of plugins that must be listed before this one. */
  readonly needs: readonly string[];
  readonly optionsSchema: ValueSchema;
  /**
   * Failure codes of its own, without the plugin's name: what each means, whether another attempt can help, what the user
   * can do. A failure carries them as `<plugin>/<CODE>`; one that is not declared here counts as `INTERNAL`.
   */
  readonly failureCodes?: Readonly<Record<string, ErrorEntry>>;
  register(registrar: PluginRegistrar, options: unknown): void;
  close(): Promise<void>;
}
