import type { AdaptationPlan } from '../../schemas/plan/adaptation-plan.ts';
import type { FlowchartNode } from '../../schemas/spec/flowchart.ts';
import type { JsonObject } from '../../schemas/common/json.ts';
import { fail } from '../shared/fail.ts';
import { toJson } from '../shared/plan-border.ts';
import { budgetLeft } from './budget.ts';
import { evaluate } from './predicate.ts';
import type { LadderState } from './state.ts';
import { tryRung } from './try-rung.ts';

export type Reached = 'target-met' | 'target-not-met' | 'budget-exhausted';

/** Facts that hold before the first rung. */
export function establishFacts(plan: AdaptationPlan, state: LadderState): void {
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

/** Walks the flowchart to an end; a rung that fails does not end the walk. Rungs get the inputs `train` and `dev`. */
export async function runLadder(
  plan: AdaptationPlan,
  inputs: JsonObject,
  state: LadderState,
): Promise<Reached> {
  let name = plan.flowchart.start;
  for (;;) {
    const node: FlowchartNode | undefined = plan.flowchart.nodes[name];
    if (node === undefined) throw fail('INVALID_SPEC', `The flowchart has no node "${name}".`);
    const left = budgetLeft(plan, state);
    state.facts['budget.secondsLeft'] = left.seconds;
    if (left.tokens !== null) state.facts['budget.tokensLeft'] = left.tokens;
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
    if ((await tryRung(node.rung, plan, inputs, state)) === 'cut-off') return 'budget-exhausted';
    name = node.next;
  }
}

/** Asks a person. What is approved is what was found so far, and the rung that would run. */
async function approve(
  name: string,
  node: Extract<FlowchartNode, { form: 'approve' }>,
  plan: AdaptationPlan,
  state: LadderState,
): Promise<boolean> {
  const following = plan.flowchart.nodes[node.next];
  const rung = following?.form === 'try' ? following.rung : null;
  state.enter('approve', rung);
  const planned = plan.rungs.find((one) => one.id === rung);
  const { verdict } = await state.approvals.ask({
    id: name,
    title: node.title,
    subject: toJson({
      specDigest: plan.specDigest,
      rung,
      estimateSeconds: planned?.estimateSeconds ?? null,
      secondsLeft: budgetLeft(plan, state).seconds,
      decisions: state.decisions,
    }),
    timeoutSeconds: node.timeoutSeconds ?? null,
  });
  return verdict === 'approve';
}
