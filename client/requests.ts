/** The start requests of the three workflows. Each compiles its spec first, as the run will. */
import { createHash } from 'node:crypto';
import { compilePipelineSpec } from '../core/compile/compile-pipeline-spec.ts';
import { compileSpec } from '../core/compile/compile-spec.ts';
import { compileTrainSpec } from '../core/compile/compile-train-spec.ts';
import { resourcesOf } from '../core/compile/resources-of.ts';
import { dataPaths } from '../core/compile/data-paths.ts';
import type { PluginHost } from '../plugins/host/host.ts';
import { canonicalJson } from '../plugins/sdk/canonical-json.ts';
import { sha256OfBytes } from '../plugins/sdk/publish.ts';
import { loadHost } from '../plugins.ts';
import { WORKFLOW_NAMES } from '../schemas/plan/constants.ts';
import type { AdaptationSpecInput } from '../schemas/spec/adaptation-spec.ts';
import type { PipelineSpecInput } from '../schemas/spec/pipeline-spec.ts';
import type { TrainSpecInput } from '../schemas/spec/train-spec.ts';
import { buildRequest, ID_DIGITS, type StartRequest, type StartRequestOptions } from './start-request.ts';

export { checkStart } from './check-start.ts';
export {
  scheduleAction,
  startOptions,
  type StartChecks,
  type StartRequest,
  type StartRequestOptions,
} from './start-request.ts';

const [ADAPT_MODEL, TRAIN_MODEL, RUN_PIPELINE] = WORKFLOW_NAMES;

/** Options of the start request of an adaptation. */
export interface AdaptationRequestOptions extends StartRequestOptions {
  /** With a scope the workflow id follows from scope and spec instead of a random number. */
  readonly scope?: string;
}

/** The request to adapt a model. Compiles the spec first: throws `INVALID_SPEC` with every issue, `BUDGET_TOO_SMALL`. */
export async function adaptationStart(
  spec: AdaptationSpecInput,
  options: AdaptationRequestOptions = {},
): Promise<StartRequest<AdaptationSpecInput>> {
  const plan = await compiled(options, (host) => compileSpec(spec, host));
  const { name, model, data, target, budget, metrics } = plan.spec;
  const { train, dev, test } = data.sizes;
  const plans = [plan.curation, plan.test, ...plan.rungs.map((rung) => rung.plan)];
  const nodes = plans.flatMap((one) => one?.nodes ?? []);
  const { scope } = options;
  const idSuffix = scope === undefined ? {} : { suffix: digest(`${scope}\n${plan.specDigest}`) };
  return buildRequest(ADAPT_MODEL, spec, options, {
    idPrefix: `adapt-${name}`,
    ...idSuffix,
    specDigest: plan.specDigest,
    summary: `Adapt ${model.id} to ${name}`,
    details: [
      `Target: ${metrics.primary.id} ${target}`,
      `Budget: ${budget.seconds} s${budget.tokens === undefined ? '' : `, ${budget.tokens} tokens`}`,
      `Rows: ${train} train, ${dev} dev, ${test} test`,
      ...dataLines(plan.spec),
    ],
    checks: { dataPaths: dataPaths(plan.spec), resources: resourcesOf(nodes) },
  });
}

/** The request of one training without a ladder. Compiles the spec first: throws `INVALID_SPEC` with every issue. */
export async function trainingStart(
  spec: TrainSpecInput,
  options: StartRequestOptions = {},
): Promise<StartRequest<TrainSpecInput>> {
  const { spec: parsed, plan } = await compiled(options, (host) => compileTrainSpec(spec, host));
  const { name, model, trainer, config } = parsed;
  return buildRequest(TRAIN_MODEL, spec, options, {
    idPrefix: `train-${name}`,
    specDigest: sha256OfBytes(canonicalJson(parsed)),
    summary: `Train ${model.id} on ${name}`,
    details: [
      `Method: ${config.method === 'full' ? 'full fine-tuning' : 'LoRA'}, by ${trainer}`,
      ...dataLines(parsed),
    ],
    checks: { dataPaths: dataPaths(parsed), resources: resourcesOf([...plan.curation.nodes, plan.train]) },
  });
}

/** The request of a pipeline of steps. Compiles the spec first: throws `INVALID_SPEC` with every issue. */
export async function pipelineStart(
  spec: PipelineSpecInput,
  options: StartRequestOptions = {},
): Promise<StartRequest<PipelineSpecInput>> {
  const { plan } = await compiled(options, (host) => compilePipelineSpec(spec, host));
  return buildRequest(RUN_PIPELINE, spec, options, {
    idPrefix: 'pipeline',
    specDigest: sha256OfBytes(canonicalJson(spec)),
    summary: spec.name,
    details: [`Nodes: ${plan.nodes.map(({ id }) => id).join(', ')}`],
    checks: { dataPaths: [], resources: resourcesOf(plan.nodes) },
  });
}

/** Compiles a spec as the run will, as a courtesy: what is wrong is said before anything is started. */
async function compiled<T>(
  { plugins = [] }: StartRequestOptions,
  compile: (host: PluginHost) => T,
): Promise<T> {
  const host = await loadHost(plugins);
  try {
    return compile(host);
  } finally {
    await host.close();
  }
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, ID_DIGITS);

/** Where the rows come from, as the user wrote it. */
function dataLines({ data }: Parameters<typeof dataPaths>[0]): string[] {
  const { source } = data;
  const name = 'path' in source ? source.path : (source.name ?? source.artifact.uri);
  return [`Data: ${name}`];
}
