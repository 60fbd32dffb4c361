import { compileSpec } from '../../../core/compile/compile-spec.ts';
import { createProjectHost } from '../../../plugins.ts';
import type { ControlActivities } from '../../../activities/control-activities.ts';
import type { AdaptationPlan } from '../../../schemas/plan/adaptation-plan.ts';
import type { PipelinePlan, PlannedNode, PlannedStep } from '../../../schemas/plan/pipeline-plan.ts';
import type { Stage } from './stage.ts';

/** A scripted `compileSpec`: the product's own plan, with what a test changes in it. */
export function compiledWith(
  stage: Stage,
  change: (plan: AdaptationPlan) => AdaptationPlan,
): Pick<ControlActivities, 'compileSpec'> {
  return {
    compileSpec: async ({ spec }) => {
      const host = createProjectHost();
      try {
        const plan = change(compileSpec(spec, host));
        return { plan, artifact: await stage.store.putJson(plan) };
      } finally {
        await host.close();
      }
    },
  };
}

/** The plan with so much budget, rungs that are thought to cost nothing, and nothing held back for scoring on test; compiling refuses budgets this small. */
export const withBudget =
  (budget: { readonly seconds: number; readonly tokens?: number }) =>
  (plan: AdaptationPlan): AdaptationPlan => ({
    ...plan,
    spec: { ...plan.spec, budget },
    rungs: plan.rungs.map((rung) => ({ ...rung, estimateSeconds: 0, estimateTokens: 0 })),
    testEstimateSeconds: 0,
    testEstimateTokens: 0,
  });

/** The plan with the steps of one rung changed. */
export const withSteps =
  (rung: string, change: Partial<PlannedStep>) =>
  (plan: AdaptationPlan): AdaptationPlan =>
    withRung(rung, (sub) => ({ ...sub, nodes: sub.nodes.map((node) => changed(node, change)) }))(plan);

/** The plan with the plan of one rung changed. */
export const withRung =
  (rung: string, change: (sub: PipelinePlan) => PipelinePlan) =>
  (plan: AdaptationPlan): AdaptationPlan => ({
    ...plan,
    rungs: plan.rungs.map((one) =>
      one.id === rung && one.plan !== null ? { ...one, plan: change(one.plan) } : one,
    ),
  });

function changed(node: PlannedNode, change: Partial<PlannedStep>): PlannedNode {
  if (node.form === 'step') return { ...node, ...change };
  return node.form === 'map' ? { ...node, body: node.body.map((step) => ({ ...step, ...change })) } : node;
}
