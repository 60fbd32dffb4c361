import type { AdaptationSpec } from '../../schemas/spec/adaptation-spec.ts';
import type { Flowchart } from '../../schemas/spec/flowchart.ts';
import type { AdaptationPlan, PlannedRung } from '../../schemas/plan/adaptation-plan.ts';
import { INTERPRETER_VERSION } from '../../schemas/plan/constants.ts';
import type { JsonObject } from '../../schemas/common/json.ts';
import type { PipelinePlan } from '../../schemas/plan/pipeline-plan.ts';
import { EscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import type { RungContext, RungV1, TokenWork } from '../../plugins/sdk/contracts/rung.ts';
import {
  DEFAULT_TOKENS_PER_SECOND,
  type TokensPerSecond,
} from '../../plugins/sdk/contracts/language-model.ts';
import { capabilitiesOf } from '../../plugins/sdk/model-calls.ts';
import type { PluginHost } from '../../plugins/host/host.ts';
import { sha256OfBytes } from '../../plugins/sdk/publish.ts';
import { canonicalJson } from '../../plugins/sdk/canonical-json.ts';
import { formatPath } from '../../plugins/sdk/issues.ts';
import { assembleFlowchart, inPlace } from './assemble-flowchart.ts';
import { checkFlowchart } from './check-flowchart.ts';
import { wrongComponentRefs } from './check-component-refs.ts';
import { candidateCases } from './candidate-cases.ts';
import { compilePipeline } from './compile-pipeline.ts';
import { completeModel, completeParts } from './complete-parts.ts';
import { curationInputs } from './curation-inputs.ts';
import { IssueList } from './issue-list.ts';
import { parseAdaptationSpec } from './parse-spec.ts';
import { testPipeline } from './test-pipeline.ts';
import { withTokenBudget } from './with-token-budget.ts';
import { withApprovals } from './with-approvals.ts';
import { checkValue } from '../../plugins/sdk/schema-check/check-value.ts';

/** Rows' worth of tokens in a finalist's prompt, on average: the question, and demonstrations for some finalists. */
const TEST_PROMPT_ROWS = 2;

/**
 * Compiles a spec into a plan. Pure: reads nothing but its arguments, so that a client may run it as a courtesy before
 * it starts a run. Throws `INVALID_SPEC` with every issue, or `BUDGET_TOO_SMALL`.
 */
export function compileSpec(raw: unknown, host: PluginHost): AdaptationPlan {
  const parsed = parseAdaptationSpec(raw);
  const issues = new IssueList();
  const { registry } = host;
  const model = completeModel(parsed.model, registry, 'model', issues);
  // A model that cannot be resolved hides nothing else that is wrong.
  const spec: AdaptationSpec = { ...parsed, model: model ?? { provider: '', id: '', options: {} } };
  checkMetrics(spec, host, issues);
  const { plan: curation, inputs } = compileCuration(spec, host, issues);
  const flowchart = flowchartOf(spec, registry.rungs.values(), issues);
  checkFlowchart(flowchart, registry.rungs.names(), issues);
  const rungs = model === null ? [] : compileRungs(spec, host, issues);
  if (model === null) issues.throwIfAny();
  const test = compilePipeline(
    testPipeline(spec),
    {
      registry,
      inputs: ['test', 'candidate'],
      cases: candidateCases(rungs),
      path: 'test',
    },
    issues,
  );
  issues.throwIfAny();
  const speed = speedOf(spec, host);
  checkBudget(spec, rungs, flowchart.start, flowchart);
  return {
    interpreterVersion: INTERPRETER_VERSION,
    spec,
    specDigest: sha256OfBytes(canonicalJson(spec)),
    flowchart,
    curation,
    curationInputs: inputs,
    rungs,
    test,
    testEstimateSeconds: Math.ceil(secondsOf(testWork(spec), speed)),
    testEstimateTokens: tokensOf(testWork(spec)),
    ...(spec.approvals.release
      ? { releaseGate: { timeoutSeconds: spec.approvals.timeoutSeconds ?? null } }
      : {}),
    plugins: host.plugins.map(({ name, version }) => ({ name, version })),
  };
}

/** The spec's own chart, or the one that the rungs' places make; with a gate before each rung that needs approval. */
function flowchartOf(spec: AdaptationSpec, rungs: readonly RungV1[], issues: IssueList): Flowchart {
  if (spec.flowchart !== undefined)
    return withApprovals(spec.flowchart, spec.approvals.rungs, spec.approvals, issues);
  const declared = inPlace(rungs).flatMap(({ id, place }) => (place.approval === true ? [id] : []));
  const chart = withTokenBudget(assembleFlowchart(rungs), spec);
  return withApprovals(chart, [...declared, ...spec.approvals.rungs], spec.approvals, issues);
}

function checkMetrics({ metrics }: AdaptationSpec, { registry }: PluginHost, issues: IssueList): void {
  issues.attempt('metrics.primary.id', () => registry.metric(metrics.primary));
  for (const [at, choice] of metrics.secondary.entries())
    issues.attempt(`metrics.secondary[${at}].id`, () => registry.metric(choice));
}

function compileCuration(
  spec: AdaptationSpec,
  host: PluginHost,
  issues: IssueList,
): { readonly plan: PipelinePlan; readonly inputs: JsonObject } {
  const { curation } = spec.data;
  const raw =
    typeof curation === 'string'
      ? issues.attempt('data.curation', () => host.registry.pipelines.get(curation))
      : curation;
  const known = curationInputs(spec);
  const options = { registry: host.registry, inputs: Object.keys(known), known, path: 'data.curation' };
  const inputs = { ...raw?.inputs, ...known };
  if (raw === null)
    return { plan: { interpreterVersion: INTERPRETER_VERSION, name: 'invalid', nodes: [] }, inputs };
  const plan = compilePipeline(raw, options, issues);
  if (plan.nodes.length > 0 && !plan.nodes.some((node) => node.id === 'split')) {
    issues.add('data.curation', 'must have a node "split" that outputs train, dev and test');
  }
  const train = plan.nodes.findIndex((node) => node.id === 'train');
  if (train >= 0 && train < plan.nodes.findIndex((node) => node.id === 'split')) {
    issues.add('data.curation', 'a node "train" replaces the training rows: it must come after the split');
  }
  return { plan, inputs };
}

function compileRungs(spec: AdaptationSpec, host: PluginHost, issues: IssueList): PlannedRung[] {
  for (const id of Object.keys(spec.rungs)) issues.attempt(`rungs.${id}`, () => host.registry.rungs.get(id));
  const speed = speedOf(spec, host);
  const model = capabilitiesOf(host.registry.languageModel(spec.model));
  return host.registry.rungs.values().flatMap((rung) => {
    const given = completeParts(rung.names, spec.rungs[rung.id] ?? {}, host.registry);
    const options = checkValue(rung.optionsSchema, given);
    if (options.success)
      return [compileRung(rung, { spec, model, options: options.data }, speed, host, issues)];
    for (const { path, message } of options.issues)
      issues.add(formatPath(['rungs', rung.id, ...path]), message);
    return [];
  });
}

function speedOf(spec: AdaptationSpec, { registry }: PluginHost): TokensPerSecond {
  return registry.providers.get(spec.model.provider).assumedTokensPerSecond ?? DEFAULT_TOKENS_PER_SECOND;
}

function compileRung(
  rung: RungV1,
  context: RungContext,
  speed: TokenWork,
  host: PluginHost,
  issues: IssueList,
): PlannedRung {
  const work = rung.estimate(context);
  const { eligible, reason } = rung.eligibility(context.spec.profile, context);
  for (const { path, message } of wrongComponentRefs(
    rung.names,
    context.options,
    `rungs.${rung.id}`,
    host.registry,
  ))
    issues.add(path, message);
  const plan = compilePipeline(
    rung.toPlan(context),
    {
      registry: host.registry,
      inputs: ['train', 'dev'],
      path: `rungs.${rung.id}.plan`,
      isIneligible: !eligible,
    },
    issues,
  );
  return {
    id: rung.id,
    eligible,
    eligibilityReason: reason,
    estimateSeconds: Math.ceil(secondsOf(work, speed)),
    estimateTokens: tokensOf(work),
    order: rung.place?.order ?? null,
    plan,
  };
}

/** One finalist's answers to the test rows; prompts may hold a few demonstrations. */
function testWork({ task, data }: AdaptationSpec): TokenWork {
  const rowTokens = task.maxPromptTokens + task.maxAnswerTokens;
  const { test } = data.sizes;
  return { prompt: test * rowTokens * TEST_PROMPT_ROWS, generate: test * task.maxAnswerTokens, train: 0 };
}

/** Seconds at the provider's assumed speeds (tokens a second). */
const secondsOf = (work: TokenWork, speed: TokenWork): number =>
  work.prompt / speed.prompt + work.generate / speed.generate + work.train / speed.train;

const tokensOf = ({ prompt, generate, train }: TokenWork): number => prompt + generate + train;

/** A budget below the first rung's estimate could only end in "exhausted": refuse it before anything is spent. */
function checkBudget(
  spec: AdaptationSpec,
  rungs: readonly PlannedRung[],
  start: string,
  chart: AdaptationPlan['flowchart'],
): void {
  const node = chart.nodes[start];
  const firstTry = node?.form === 'approve' ? chart.nodes[node.next] : node;
  const first = firstTry?.form === 'try' ? rungs.find((rung) => rung.id === firstTry.rung) : undefined;
  const { seconds, tokens = Number.POSITIVE_INFINITY } = spec.budget;
  const { estimateSeconds = 0, estimateTokens = 0 } = first ?? {};
  if (seconds < estimateSeconds) throw budgetTooSmall('seconds', seconds, estimateSeconds, first?.id ?? '');
  if (tokens < estimateTokens) throw budgetTooSmall('tokens', tokens, estimateTokens, first?.id ?? '');
}

function budgetTooSmall(
  unit: 'seconds' | 'tokens',
  given: number,
  needed: number,
  rung: string,
): EscadaFailure {
  const of = unit === 'seconds' ? 's' : 'tokens';
  const message = `budget.${unit}: ${given} ${of} do not cover the first rung (${rung}), which is estimated at ${needed} ${of}. Raise budget.${unit} to at least ${needed}, or lower data.sizes.dev.`;
  return new EscadaFailure({ code: 'BUDGET_TOO_SMALL', message, fields: { unit, given, needed } });
}
