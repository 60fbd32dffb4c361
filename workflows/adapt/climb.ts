import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { AdaptationPlan, PlannedRung } from '../../schemas/adapt/plan.ts';
import type { RungOutput } from '../../schemas/adapt/candidate.ts';
import type { FlowchartNode } from '../../schemas/adapt/flowchart.ts';
import type { JsonObject, JsonValue } from '../../schemas/common/json.ts';
import { runPlan } from '../pipeline/interpreter.ts';
import { fail } from '../shared/fail.ts';
import { control } from './control.ts';
import { evaluate } from './predicate.ts';
import type { ClimbState } from './state.ts';

export type Reached = 'target-met' | 'target-not-met' | 'budget-exhausted';

/** Facts that hold before the first rung. */
export function establishFacts(plan: AdaptationPlan, state: ClimbState): void {
  const { spec } = plan;
  Object.assign(state.facts, { target: spec.target, 'budget.seconds': spec.budget.seconds });
  if (spec.budget.tokens !== undefined) state.facts['budget.tokens'] = spec.budget.tokens;
  for (const [name, value] of Object.entries(spec.profile)) state.facts[`profile.${name}`] = value;
  for (const rung of plan.rungs) {
    state.facts[`rungs.${rung.id}.eligible`] = rung.eligible;
    state.facts[`rungs.${rung.id}.estimateSeconds`] = rung.estimateSeconds;
    state.facts[`rungs.${rung.id}.estimateTokens`] = rung.estimateTokens;
    state.facts[`rungs.${rung.id}.tried`] = false;
  }
}

/** Budget seconds left for climbing, after what scoring the finalists on test will take. */
function secondsLeft(plan: AdaptationPlan, state: ClimbState): number {
  const reserve = plan.testEstimateSeconds * (state.finalists.length + 1);
  return plan.spec.budget.seconds - state.secondsElapsed() - reserve;
}

/** The same in tokens; null when the spec does not limit them. */
function tokensLeft({ spec, testEstimateTokens }: AdaptationPlan, state: ClimbState): number | null {
  if (spec.budget.tokens === undefined) return null;
  return spec.budget.tokens - state.tokensSpent - testEstimateTokens * (state.finalists.length + 1);
}

/** Walks the flowchart to an end. Rungs get the inputs `train` and `dev`. */
export async function climb(plan: AdaptationPlan, inputs: JsonObject, state: ClimbState): Promise<Reached> {
  let name = plan.flowchart.start;
  for (;;) {
    const node: FlowchartNode | undefined = plan.flowchart.nodes[name];
    if (node === undefined) throw fail('INVALID_SPEC', `The flowchart has no node "${name}".`);
    state.facts['budget.secondsLeft'] = secondsLeft(plan, state);
    const tokens = tokensLeft(plan, state);
    if (tokens !== null) state.facts['budget.tokensLeft'] = tokens;
    if (node.form === 'end') {
      state.path.push({ node: name, title: node.title, answer: 'end', comparisons: [] });
      return node.verdict;
    }
    if (node.form === 'ask') {
      const { holds, comparisons } = evaluate(node.all, state.facts);
      state.path.push({ node: name, title: node.title, answer: holds ? 'yes' : 'no', comparisons });
      name = holds ? node.yes : node.no;
      continue;
    }
    if (node.form === 'approve') {
      const approved = await approve(name, node, plan, state);
      const answer = approved ? 'approved' : 'rejected';
      state.path.push({ node: name, title: node.title, answer, comparisons: [] });
      name = approved ? node.next : node.rejected;
      continue;
    }
    state.path.push({ node: name, title: node.title, answer: 'tried', comparisons: [] });
    if (!(await tryRung(node.rung, plan, inputs, state))) return 'budget-exhausted';
    name = node.next;
  }
}

/** Asks a person. What is approved is what was found so far, and the rung that would be climbed. */
async function approve(
  name: string,
  node: Extract<FlowchartNode, { form: 'approve' }>,
  plan: AdaptationPlan,
  state: ClimbState,
): Promise<boolean> {
  const following = plan.flowchart.nodes[node.next];
  const rung = following?.form === 'try' ? following.rung : null;
  state.enter('approve', rung);
  const planned = plan.rungs.find((one) => one.id === rung);
  const { verdict } = await state.approvals.ask({
    id: name,
    title: node.title,
    of: {
      specDigest: plan.specDigest,
      rung,
      estimateSeconds: planned?.estimateSeconds ?? null,
      secondsLeft: secondsLeft(plan, state),
      decisions: state.decisions as unknown as JsonValue,
    },
    timeoutSeconds: node.timeoutSeconds ?? null,
  });
  return verdict === 'approve';
}

/** Climbs one rung inside what is left of the budget; false when the budget cut it off. */
async function tryRung(
  id: string,
  plan: AdaptationPlan,
  inputs: JsonObject,
  state: ClimbState,
): Promise<boolean> {
  const rung = plan.rungs.find((one) => one.id === id);
  if (rung?.plan == null) throw fail('INVALID_SPEC', `There is no rung "${id}" in the plan.`);
  state.enter('climb', id);
  const startedMs = Date.now();
  const left = { seconds: secondsLeft(plan, state), tokens: tokensLeft(plan, state) };
  const output = await runWithinBudget(rung, left, inputs, state);
  if (output === null) return false;
  await recordRung(rung, output, (Date.now() - startedMs) / 1000, plan, state);
  return true;
}

async function runWithinBudget(
  rung: PlannedRung,
  left: { readonly seconds: number; readonly tokens: number | null },
  inputs: JsonObject,
  state: ClimbState,
): Promise<RungOutput | null> {
  if (rung.plan === null) return null;
  const scope = new CancellationScope({
    cancellable: true,
    timeout: Math.max(1, Math.round(left.seconds * 1000)),
  });
  const { plan } = rung;
  const limit = left.tokens === null ? null : state.tokensSpent + left.tokens;
  state.onSpent = () => {
    if (limit !== null && state.tokensSpent > limit) scope.cancel();
  };
  try {
    const outputs = await scope.run(
      async () =>
        await runPlan({ plan, inputs, prefix: rung.id, observer: state, approvals: state.approvals }),
    );
    return outputs['result'] as unknown as RungOutput;
  } catch (error) {
    // A cancellation of the run itself is not a spent budget.
    if (!isCancellation(error) || CancellationScope.current().consideredCancelled) throw error;
    state.clearRunning();
    return null;
  } finally {
    state.onSpent = () => undefined;
  }
}

async function recordRung(
  rung: PlannedRung,
  output: RungOutput,
  seconds: number,
  plan: AdaptationPlan,
  state: ClimbState,
): Promise<void> {
  const { spec } = plan;
  const judged = await control.judgeRung({
    rung: rung.id,
    output,
    best: state.best,
    triedBefore: state.tried,
    target: spec.target,
    primary: spec.metrics.primary,
    statistics: { level: spec.statistics.level, resamples: spec.statistics.resamples, seed: spec.seed },
    seconds,
  });
  const { record, candidate, leads } = judged;
  state.tried += output.tried;
  state.decisions.push(record);
  state.finalists.push({ candidate, costRank: rung.costRank });
  if (leads) {
    state.best = candidate;
    Object.assign(state.facts, { 'best.value': record.value, 'best.low': record.correctedLow });
  }
  Object.assign(state.facts, {
    [`rungs.${rung.id}.tried`]: true,
    [`rungs.${rung.id}.value`]: record.value,
    [`rungs.${rung.id}.low`]: record.correctedLow,
  });
  state.publish();
}
