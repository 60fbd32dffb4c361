import type { JsonObject } from '../../schemas/common/json.ts';
import type { PipelineSpecInput } from '../../schemas/spec/pipeline-spec.ts';
import type { ErrorCode } from '../../schemas/errors/error-codes.ts';
import { EscadaFailure } from '../sdk/contracts/failure.ts';
import type { LanguageModelProviderV1 } from '../sdk/contracts/language-model.ts';
import type { MetricFactoryV1, MetricV1 } from '../sdk/contracts/metric.ts';
import type { PluginRegistrar } from '../sdk/contracts/plugin.ts';
import type { RetrieverV1 } from '../sdk/contracts/retriever.ts';
import type { RungV1 } from '../sdk/contracts/rung.ts';
import type { StepKindV1 } from '../sdk/contracts/step-kind.ts';
import type { TrainerV1 } from '../sdk/contracts/trainer.ts';
import { checkRung } from './check-rung.ts';
import { checkTimeouts } from './check-step-kind.ts';
import { nearest } from '../../schemas/common/nearest.ts';

/** A set of named things of one sort. */
export class Shelf<T> {
  readonly #sort: string;
  readonly #entries = new Map<string, { readonly value: T; readonly owner: string }>();

  constructor(sort: string) {
    this.#sort = sort;
  }

  add(name: string, value: T, owner: string): void {
    const before = this.#entries.get(name);
    if (before !== undefined) {
      throw new EscadaFailure({
        code: 'PLUGIN_DUPLICATE',
        message: `Plugin ${owner} brings the ${this.#sort} "${name}", which plugin ${before.owner} has brought already.`,
        fields: { name, owner, before: before.owner },
      });
    }
    this.#entries.set(name, { value, owner });
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** Throws `code` with the known names and the nearest one. */
  get(name: string, code: ErrorCode = 'INVALID_SPEC'): T {
    const entry = this.#entries.get(name);
    if (entry !== undefined) return entry.value;
    const guess = nearest(name, this.names());
    throw new EscadaFailure({
      code,
      message: `There is no ${this.#sort} "${name}".${guess === null ? '' : ` Did you mean "${guess}"?`} Known: ${this.names().join(', ')}.`,
      fields: { name, known: this.names() },
    });
  }

  names(): string[] {
    return [...this.#entries.keys()].sort();
  }

  values(): T[] {
    return this.names().map((name) => this.get(name));
  }
}

/** Everything the plugins brought. */
export class Registry {
  readonly stepKinds = new Shelf<StepKindV1>('step kind');
  readonly rungs = new Shelf<RungV1>('rung');
  readonly metrics = new Shelf<MetricFactoryV1>('metric');
  readonly retrievers = new Shelf<RetrieverV1>('retriever');
  readonly providers = new Shelf<LanguageModelProviderV1>('model provider');
  readonly trainers = new Shelf<TrainerV1>('trainer');
  readonly pipelines = new Shelf<PipelineSpecInput>('curation pipeline');

  /** The registrar handed to one plugin. */
  registrarFor(owner: string): PluginRegistrar {
    return {
      // A shelf holds kinds of every option type; each kind checks its own options before it runs.
      addStepKind: (kind) => {
        checkTimeouts(kind, owner);
        this.stepKinds.add(kind.kind, kind, owner);
      },
      addRung: (rung) => {
        checkRung(rung, owner);
        this.rungs.add(rung.id, rung, owner);
      },
      addMetric: (metric) => this.metrics.add(metric.id, metric, owner),
      addRetriever: (retriever) => this.retrievers.add(retriever.id, retriever, owner),
      addLanguageModelProvider: (provider) => this.providers.add(provider.id, provider, owner),
      addTrainer: (trainer) => this.trainers.add(trainer.id, trainer, owner),
      addPipeline: (name, pipeline) => this.pipelines.add(name, pipeline, owner),
    };
  }

  /** A metric made from a spec's choice, its options checked. */
  metric(choice: { readonly id: string; readonly with: JsonObject }): MetricV1 {
    const factory = this.metrics.get(choice.id);
    const options = factory.optionsSchema.safeParse(choice.with);
    if (options.success) return factory.create(options.data);
    const issues = options.error.issues
      .map((issue) => `${issue.path.join('.')}: ${issue.message}`)
      .join('; ');
    throw new EscadaFailure({ code: 'INVALID_SPEC', message: `metric "${choice.id}": ${issues}` });
  }
}
