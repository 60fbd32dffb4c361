import type { ModelRef } from '../../schemas/common/model-ref.ts';
import type { JsonObject } from '../../schemas/common/json.ts';
import type { PluginDefaults } from '../../schemas/spec/project-config.ts';
import type { PipelineSpecInput } from '../../schemas/spec/pipeline-spec.ts';
import { EscadaFailure } from '../sdk/contracts/failure.ts';
import type { ArtifactStoreFactoryV1 } from '../sdk/contracts/artifact-store.ts';
import type { LanguageModelProviderV1, LanguageModelV1 } from '../sdk/contracts/language-model.ts';
import type { MetricFactoryV1, MetricV1 } from '../sdk/contracts/metric.ts';
import type { PluginRegistrar } from '../sdk/contracts/plugin.ts';
import type { RetrieverV1 } from '../sdk/contracts/retriever.ts';
import type { RungV1 } from '../sdk/contracts/rung.ts';
import type { PlanLookups, StepKindV1 } from '../sdk/contracts/step-kind.ts';
import type { TrainerV1 } from '../sdk/contracts/trainer.ts';
import { FailureCodes } from './failure-codes.ts';
import { checkComponent } from './check-component.ts';
import { checkProvider } from './check-provider.ts';
import { checkRung } from './check-rung.ts';
import { checkRowCounts, checkSharedFields, checkStepKind } from './check-step-kind.ts';
import { NamedRegistry } from './named-registry.ts';
import { formatIssues } from '../sdk/issues.ts';
import { checkValue } from '../sdk/schema-check/check-value.ts';
import { usedPlugins, type PluginVersions } from './used-plugins.ts';

/** Names of components of one kind. */
export interface Brought {
  /** `rung`, `step kind` … */
  readonly kind: string;
  readonly names: readonly string[];
}

/** Everything the plugins brought. */
export class Registry {
  readonly stepKinds = new NamedRegistry<StepKindV1>('step kind');
  readonly rungs = new NamedRegistry<RungV1>('rung');
  readonly metrics = new NamedRegistry<MetricFactoryV1>('metric');
  readonly retrievers = new NamedRegistry<RetrieverV1>('retriever');
  readonly providers = new NamedRegistry<LanguageModelProviderV1>('model provider');
  readonly trainers = new NamedRegistry<TrainerV1>('trainer');
  readonly stores = new NamedRegistry<ArtifactStoreFactoryV1>('artifact store');
  readonly pipelines = new NamedRegistry<PipelineSpecInput>('curation pipeline');

  readonly failureCodes = new FailureCodes();

  /** What specs and options get where they name nothing. */
  readonly defaults: PluginDefaults;

  constructor(defaults: PluginDefaults = {}) {
    this.defaults = defaults;
  }

  readonly #versions = new Map<string, string>();

  /** Versions of the plugins by name. */
  get versions(): ReadonlyMap<string, string> {
    return this.#versions;
  }

  /** The registrar handed to one plugin. */
  registrarFor(owner: string, version: string): PluginRegistrar {
    this.#versions.set(owner, version);
    const add = <T extends { readonly id: string }>(registry: NamedRegistry<T>, component: T): void => {
      checkComponent(registry.kind, component.id, component, owner);
      registry.add(component.id, component, owner);
    };
    return {
      // The registry holds kinds of every option type; each kind checks its own options before it runs.
      addStepKind: (kind) => {
        checkComponent(this.stepKinds.kind, kind.kind, kind, owner);
        checkStepKind(kind, owner);
        checkSharedFields(kind, owner);
        checkRowCounts(kind, owner);
        this.stepKinds.add(kind.kind, kind, owner);
      },
      addRung: (rung) => {
        checkRung(rung, owner);
        add(this.rungs, rung);
      },
      addMetric: (metric) => add(this.metrics, metric),
      addRetriever: (retriever) => add(this.retrievers, retriever),
      addLanguageModelProvider: (provider) => {
        checkProvider(provider, owner);
        add(this.providers, provider);
      },
      addTrainer: (trainer) => add(this.trainers, trainer),
      // Its own schema has checked the options that it is opened with.
      addArtifactStore: (factory) => add(this.stores, factory),
      addPipeline: (name, pipeline) => this.pipelines.add(name, pipeline, owner),
    };
  }

  /** What compiling a plan may ask of components. */
  readonly lookups: PlanLookups = {
    provider: (id) => (id !== undefined && this.providers.has(id) ? this.providers.get(id) : undefined),
  };

  /** Versions of the plugins that a step with these options runs code of. */
  versionsUsedBy(kind: Pick<StepKindV1, 'kind' | 'names'>, options: unknown): PluginVersions {
    return usedPlugins(kind, options, this);
  }

  /** What one plugin brought, by kind of component. */
  broughtBy(owner: string): Brought[] {
    return [
      this.providers,
      this.trainers,
      this.rungs,
      this.stepKinds,
      this.metrics,
      this.retrievers,
      this.pipelines,
    ]
      .map((registry) => ({ kind: registry.kind, names: registry.namesOf(owner) }))
      .concat({ kind: 'failure code', names: this.failureCodes.namesOf(owner) })
      .filter(({ names }) => names.length > 0);
  }

  /** Opens a model. Throws `INVALID_SPEC` for a provider that nobody brings, and for options that are not its own. */
  languageModel({ provider: name, id, options }: ModelRef): LanguageModelV1 {
    const provider = this.providers.get(name);
    const checked = checkValue(provider.optionsSchema, options);
    if (checked.success) return provider.open({ id, options: checked.data as JsonObject });
    const issues = checked.issues.map(({ path, ...issue }) => ({
      ...issue,
      path: ['model', 'options', ...path],
    }));
    const message = `model "${id}" of provider "${name}": ${formatIssues(issues, 'model')}`;
    throw new EscadaFailure({ code: 'INVALID_SPEC', message });
  }

  /** A metric made from a spec's choice, its options checked. */
  metric(choice: { readonly id: string; readonly with: JsonObject }): MetricV1 {
    const factory = this.metrics.get(choice.id);
    const options = checkValue(factory.optionsSchema, choice.with);
    if (options.success) return factory.create(options.data);
    const message = `metric "${choice.id}": ${formatIssues(options.issues, 'with')}`;
    throw new EscadaFailure({ code: 'INVALID_SPEC', message });
  }
}
