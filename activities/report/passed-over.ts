import type { DecisionRecord, PathStep } from '../../schemas/adapt/candidate.ts';
import type { AdaptationPlan, PlannedRung } from '../../schemas/adapt/plan.ts';

/** A rung of the plan that was not measured, and why. */
export interface PassedOver {
  readonly rung: string;
  readonly why: 'not-eligible' | 'cut-off' | 'not-affordable' | 'not-in-flowchart' | 'not-reached';
  readonly reason: string;
}

type Plan = Pick<AdaptationPlan, 'flowchart' | 'rungs'>;

/** The rungs without a decision record, in the plan's order. */
export function passedOver(
  plan: Plan,
  path: readonly PathStep[],
  decided: readonly Pick<DecisionRecord, 'rung'>[],
): PassedOver[] {
  const measured = new Set(decided.map(({ rung }) => rung));
  return plan.rungs
    .filter(({ id }) => !measured.has(id))
    .map((rung) => ({ rung: rung.id, ...whyNot(rung, plan, path) }));
}

function whyNot(rung: PlannedRung, plan: Plan, path: readonly PathStep[]): Omit<PassedOver, 'rung'> {
  if (!rung.eligible) return { why: 'not-eligible', reason: rung.eligibilityReason };
  const nodes = Object.entries(plan.flowchart.nodes).flatMap(([name, node]) =>
    node.form === 'try' && node.rung === rung.id ? [name] : [],
  );
  if (nodes.length === 0) return { why: 'not-in-flowchart', reason: 'The flowchart has no node for it.' };
  if (path.some(({ node, answer }) => answer === 'tried' && nodes.includes(node))) {
    return { why: 'cut-off', reason: 'The budget ran out while it was being climbed.' };
  }
  const refused = path
    .filter(({ answer }) => answer === 'no')
    .flatMap(({ comparisons }) => comparisons)
    .find(({ than }) => typeof than === 'object' && than.fact === `rungs.${rung.id}.estimateSeconds`);
  if (refused !== undefined) {
    const [left, needed] = [Number(refused.left), Number(refused.right)].map((one) => one.toFixed(0));
    return {
      why: 'not-affordable',
      reason: `The budget did not cover it: ${left} s were left, about ${needed} s are needed.`,
    };
  }
  const end = path.at(-1)?.title ?? 'its end';
  return { why: 'not-reached', reason: `The climb ended before it: ${end}.` };
}
