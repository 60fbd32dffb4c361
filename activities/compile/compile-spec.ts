import type { AdaptationSpec } from '../../schemas/adapt/adaptation-spec.ts';
import { STANDARD_FLOWCHART } from '../../schemas/adapt/flowcharts.ts';
import type { AdaptationPlan, PlannedRung } from '../../schemas/adapt/plan.ts';
import { INTERPRETER_VERSION } from '../../schemas/common/constants.ts';
import type { PipelinePlan } from '../../schemas/pipeline/plan.ts';
import { EscadaFailure } from '../../plugins/api/failure.ts';
import type { RungContext, RungV1 } from '../../plugins/api/rung.ts';
import type { PluginHost } from '../../plugins/host/host.ts';
import { sha256OfBytes } from '../artifacts/publish.ts';
import { canonicalJson } from '../shared/canonical-json.ts';
import { formatPath } from '../shared/issues.ts';
import { checkFlowchart } from './check-flowchart.ts';
import { compilePipeline } from './compile-pipeline.ts';
import { IssueList } from './issue-list.ts';
import { parseAdaptationSpec } from './parse-spec.ts';
import { testPipeline } from './test-pipeline.ts';
import { withApprovals } from './with-approvals.ts';

const CURATION_INPUTS = [
  'source',
  'columns',
  'model',
  'task',
  'maxPromptTokens',
  'maxAnswerTokens',
  'sizes',
  'seed',
] as const;

/** Rows' worth of tokens in a finalist's prompt, on average: the question, and demonstrations for some finalists. */
const TEST_PROMPT_ROWS = 2;

/**
 * Compiles a spec into a plan. Pure: reads nothing but its arguments, so that a client may run it as a courtesy before
 * it starts a run. Throws `INVALID_SPEC` with every issue, or `BUDGET_TOO_SMALL`.
 */
export function compileSpec(raw: unknown, host: PluginHost): AdaptationPlan {
  const spec = parseAdaptationSpec(raw);
  const issues = new IssueList();
  const { registry } = host;
  for (const choice of [spec.metrics.primary, ...spec.metrics.secondary]) {
    issues.attempt(`metrics.${choice.id}`, () => registry.metric({ id: choice.id, with: choice.with }));
  }
  const curation = compileCuration(spec, host, issues);
  const flowchart = withApprovals(spec.flowchart ?? STANDARD_FLOWCHART, spec, issues);
  checkFlowchart(flowchart, registry.rungs.names(), issues);
  const rungs = compileRungs(spec, host, issues);
  const test = compilePipeline(
    testPipeline(spec),
    {
      registry,
      inputs: ['test', 'train', 'candidate'],
      path: 'test',
    },
    issues,
  );
  issues.throwIfAny();
  checkBudget(spec, rungs, flowchart.start, flowchart);
  return {
    interpreterVersion: INTERPRETER_VERSION,
    spec,
    specDigest: sha256OfBytes(canonicalJson(spec)),
    flowchart,
    curation,
    rungs,
    test,
    testEstimateSeconds: testEstimateSeconds(spec, host),
    ...(spec.approvals.release
      ? { releaseGate: { timeoutSeconds: spec.approvals.timeoutSeconds ?? null } }
      : {}),
    plugins: host.plugins,
  };
}

function compileCuration(spec: AdaptationSpec, host: PluginHost, issues: IssueList): PipelinePlan {
  const { curation } = spec.data;
  const raw =
    typeof curation === 'string'
      ? issues.attempt('data.curation', () => host.registry.pipelines.get(curation))
      : curation;
  const options = { registry: host.registry, inputs: CURATION_INPUTS, path: 'data.curation' };
  if (raw === null) return { interpreterVersion: INTERPRETER_VERSION, name: 'invalid', nodes: [] };
  const plan = compilePipeline(raw, options, issues);
  if (plan.nodes.length > 0 && !plan.nodes.some((node) => node.id === 'split')) {
    issues.add('data.curation', 'must have a node "split" that outputs train, dev and test');
  }
  const train = plan.nodes.findIndex((node) => node.id === 'train');
  if (train >= 0 && train < plan.nodes.findIndex((node) => node.id === 'split')) {
    issues.add('data.curation', 'a node "train" replaces the training rows: it must come after the split');
  }
  return plan;
}

function compileRungs(spec: AdaptationSpec, host: PluginHost, issues: IssueList): PlannedRung[] {
  for (const id of Object.keys(spec.rungs)) issues.attempt(`rungs.${id}`, () => host.registry.rungs.get(id));
  const provider = issues.attempt('model.provider', () => host.registry.providers.get(spec.model.provider));
  if (provider === null) return [];
  const tokensPerSecond = provider.assumedTokensPerSecond;
  return host.registry.rungs.values().flatMap((rung) => {
    const options = rung.optionsSchema.safeParse(spec.rungs[rung.id] ?? {});
    if (options.success)
      return [compileRung(rung, { spec, options: options.data, tokensPerSecond }, host, issues)];
    for (const issue of options.error.issues) {
      issues.add(['rungs', rung.id, formatPath(issue.path)].filter(Boolean).join('.'), issue.message);
    }
    return [];
  });
}

function compileRung(rung: RungV1, context: RungContext, host: PluginHost, issues: IssueList): PlannedRung {
  const { eligible, reason } = rung.eligibility(context.spec.profile, context);
  const plan = compilePipeline(
    rung.toPlan(context),
    { registry: host.registry, inputs: ['train', 'dev'], path: `rungs.${rung.id}.plan` },
    issues,
  );
  return {
    id: rung.id,
    eligible,
    eligibilityReason: reason,
    estimateSeconds: Math.ceil(rung.estimateSeconds(context)),
    costRank: rung.costRank,
    plan,
  };
}

/** One finalist's answers to the test rows, at the provider's assumed speeds; prompts may hold a few demonstrations. */
function testEstimateSeconds(spec: AdaptationSpec, host: PluginHost): number {
  const speed = host.registry.providers.get(spec.model.provider).assumedTokensPerSecond;
  const rowTokens = spec.task.maxPromptTokens + spec.task.maxAnswerTokens;
  const promptTokens = spec.data.sizes.test * rowTokens * TEST_PROMPT_ROWS;
  return Math.ceil(
    promptTokens / speed.prompt + (spec.data.sizes.test * spec.task.maxAnswerTokens) / speed.generate,
  );
}

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
  const needSeconds = first?.estimateSeconds ?? 0;
  if (spec.budget.seconds >= needSeconds) return;
  throw new EscadaFailure({
    code: 'BUDGET_TOO_SMALL',
    message: `budget.seconds: ${spec.budget.seconds} s do not cover the first rung (${first?.id}), which is estimated at ${needSeconds} s. Raise budget.seconds to at least ${needSeconds}, or lower data.sizes.dev.`,
    fields: { budgetSeconds: spec.budget.seconds, neededSeconds: needSeconds },
  });
}
