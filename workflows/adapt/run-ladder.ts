import type { AdaptationPlan } from '../../schemas/plan/adaptation-plan.ts';
import type { FlowchartNode, Verdict } from '../../schemas/spec/flowchart.ts';
import type { JsonObject } from '../../schemas/common/json.ts';
import { Handover } from '../shared/continuation.ts';
import { fail } from '../shared/fail.ts';
import { toJson } from '../shared/plan-border.ts';
import { budgetLeft } from './budget.ts';
import { evaluate } from './predicate.ts';
import type { LadderState } from './state.ts';
import { tryRung } from './try-rung.ts';

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

/**
 * Walks the flowchart to an end, from where a run before has stopped; a rung that fails does not end the walk. Rungs get
 * the inputs `train` and `dev`. Throws `Handover` between nodes, or inside a rung, when the run is to continue as new.
 */
export async function runLadder(
  plan: AdaptationPlan,
  inputs: JsonObject,
  state: LadderState,
): Promise<Verdict> {
  const { position, continuation } = state;
  for (;;) {
    const name = (position.node ??= plan.flowchart.start);
    const node = plan.flowchart.nodes[name];
    if (node === undefined) throw fail('INVALID_SPEC', `The flowchart has no node "${name}".`);
    // The node of a rung that a run before has begun was entered there.
    if (position.rungStartedMs === null) {
      if (continuation.due) throw new Handover();
      noteBudget(plan, state);
    }
    const step = await visit(name, node, { plan, inputs, state });
    if ('reached' in step) return step.reached;
    position.node = step.next;
  }
}

function noteBudget(plan: AdaptationPlan, state: LadderState): void {
  const left = budgetLeft(plan, state);
  state.facts['budget.secondsLeft'] = left.seconds;
  if (left.tokens !== null) state.facts['budget.tokensLeft'] = left.tokens;
}

/** What a visit needs beside the node. */
interface Walk {
  readonly plan: AdaptationPlan;
  readonly inputs: JsonObject;
  readonly state: LadderState;
}

/** What follows a node: another one, or the end. */
type Step = { readonly next: string } | { readonly reached: Verdict };

async function visit(name: string, node: FlowchartNode, walk: Walk): Promise<Step> {
  const { plan, state } = walk;
  const { title } = node;
  switch (node.form) {
    case 'end':
      state.path.push({ node: name, title, answer: 'end', comparisons: [] });
      return { reached: node.verdict };
    case 'ask': {
      const { holds, comparisons } = evaluate(node.all, state.facts);
      state.path.push({ node: name, title, answer: holds ? 'yes' : 'no', comparisons });
      return { next: holds ? node.yes : node.no };
    }
    case 'approve': {
      const approved = await approve(name, node, plan, state);
      state.path.push({ node: name, title, answer: approved ? 'approved' : 'rejected', comparisons: [] });
      return { next: approved ? node.next : node.rejected };
    }
    case 'try':
      return await runNode(name, node, walk);
  }
}

async function runNode(
  name: string,
  { rung, title, next }: Extract<FlowchartNode, { form: 'try' }>,
  { plan, inputs, state }: Walk,
): Promise<Step> {
  const { position, path } = state;
  if (position.rungStartedMs === null) {
    position.rungStartedMs = Date.now();
    path.push({ node: name, title, answer: 'tried', comparisons: [] });
  }
  const outcome = await tryRung(rung, plan, inputs, state);
  position.rungStartedMs = null;
  return outcome === 'cut-off' ? { reached: 'budget-exhausted' } : { next };
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
