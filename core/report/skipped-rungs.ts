import type { Compared, DecisionRecord, PathStep } from '../../schemas/outcome/decision.ts';
import type { AdaptationPlan, PlannedRung } from '../../schemas/plan/adaptation-plan.ts';

/** A rung of the plan that was not run, and why. */
export interface SkippedRung {
  readonly rung: string;
  readonly why: 'not-eligible' | 'not-approved' | 'not-affordable' | 'not-in-flowchart' | 'not-reached';
  readonly reason: string;
}

type Plan = Pick<AdaptationPlan, 'flowchart' | 'rungs'>;

/** The rungs without a decision record, in the plan's order. */
export function skippedRungs(
  plan: Plan,
  path: readonly PathStep[],
  decided: readonly Pick<DecisionRecord, 'rung'>[],
): SkippedRung[] {
  const decidedRungs = new Set(decided.map(({ rung }) => rung));
  return plan.rungs
    .filter(({ id }) => !decidedRungs.has(id))
    .map((rung) => ({ rung: rung.id, ...whyNot(rung, plan, path) }));
}

function whyNot(rung: PlannedRung, plan: Plan, path: readonly PathStep[]): Omit<SkippedRung, 'rung'> {
  if (!rung.eligible) return { why: 'not-eligible', reason: rung.eligibilityReason };
  const nodes = plan.flowchart.nodes;
  const triesIt = (name: string): boolean => {
    const node = nodes[name];
    return node?.form === 'try' && node.rung === rung.id;
  };
  if (!Object.keys(nodes).some(triesIt))
    return { why: 'not-in-flowchart', reason: 'The flowchart has no node for it.' };
  const refused = path.find(({ node, answer }) => {
    const gate = nodes[node];
    return answer === 'rejected' && gate?.form === 'approve' && triesIt(gate.next);
  });
  if (refused !== undefined) return { why: 'not-approved', reason: `${refused.title} The answer was no.` };
  const reason = unaffordable(rung.id, path);
  if (reason !== null) return { why: 'not-affordable', reason };
  const end = path.at(-1)?.title ?? 'its end';
  return { why: 'not-reached', reason: `The ladder ended before it: ${end}.` };
}

/** Which part of the budget did not cover a rung: seconds, tokens or both; null when it was not asked or covered it. */
function unaffordable(rung: string, path: readonly PathStep[]): string | null {
  const asked = path.filter(({ answer }) => answer === 'no').flatMap(({ comparisons }) => comparisons);
  const short = asked.flatMap((one) => {
    const unit = one.holds ? undefined : unitOf(one, rung);
    return unit === undefined
      ? []
      : [`${whole(one.left)} ${unit} were left, about ${whole(one.right)} ${unit} are needed`];
  });
  return short.length === 0 ? null : `The budget did not cover it: ${short.join('; ')}.`;
}

function unitOf({ value }: Compared, rung: string): 's' | 'tokens' | undefined {
  const fact = typeof value === 'object' ? value.fact : '';
  if (fact === `rungs.${rung}.estimateSeconds`) return 's';
  return fact === `rungs.${rung}.estimateTokens` ? 'tokens' : undefined;
}

const whole = (value: Compared['left']): string => Number(value).toFixed(0);
