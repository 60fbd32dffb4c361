import { CancellationScope } from '@temporalio/workflow';
import { MAX_MAP_ITEMS, MAX_PLAN_STEPS } from '../../schemas/plan/constants.ts';
import type { JsonValue } from '../../schemas/common/json.ts';
import type { PlannedMap, PlannedNode } from '../../schemas/plan/pipeline-plan.ts';
import { mapSteps, stepsOfNode, stepsOfPlan } from '../../schemas/plan/plan-size.ts';
import type { Scope } from '../../schemas/plan/references.ts';
import { fail } from '../shared/fail.ts';
import { Permits } from '../shared/permits.ts';
import type { NodeOutputs } from '../shared/plan-border.ts';
import { requireVersion } from '../shared/plan-version.ts';
import type { PlanRun, RunPlanInput } from './plan-run.ts';
import { replaceReferences } from './replace-references.ts';
import { askApproval, runStep } from './run-leaf.ts';
import { cancelOnFailure, settle, stopIfCancelled } from './settle.ts';

/** Most steps of one plan that run at once. */
const MAX_CONCURRENT_STEPS = 8;

/**
 * Runs a compiled plan. Nodes start, in plan order, as soon as those they need have finished; when one fails, the
 * others are cancelled and awaited before the failure is passed on. Returns every node's output by id. Throws `Handover`
 * when the run is to continue as new: what was running has finished then, and `results` holds it for the next run.
 */
export async function runPlan(input: RunPlanInput): Promise<NodeOutputs> {
  const { plan, inputs, prefix, observer, approvals, resumable } = input;
  requireVersion(`The plan "${plan.name}"`, plan);
  const run: PlanRun = {
    observer,
    approvals,
    results: resumable?.results ?? {},
    continuation: resumable?.continuation,
    permits: new Permits(MAX_CONCURRENT_STEPS),
    steps: stepsOfPlan(plan.nodes),
  };
  return await runNodes(plan.nodes, prefix, { inputs, nodes: {} }, run);
}

async function runNodes(
  nodes: readonly PlannedNode[],
  prefix: string,
  scope: Scope,
  run: PlanRun,
): Promise<NodeOutputs> {
  const outputs: Record<string, JsonValue> = {};
  const running = new Map<string, Promise<void>>();
  const within = (): Scope => ({ ...scope, nodes: { ...scope.nodes, ...outputs } });
  await CancellationScope.cancellable(async () => {
    const branch = CancellationScope.current();
    for (const node of nodes) {
      const needs = node.needs.flatMap((need) => running.get(need) ?? []);
      const work = Promise.all(needs).then(async () => {
        outputs[node.id] = await runNode(node, `${prefix}/${node.id}`, within(), run);
      });
      running.set(node.id, work);
      cancelOnFailure(work, branch);
    }
    await settle([...running.values()]);
  });
  return outputs;
}

async function runNode(
  node: PlannedNode,
  activityId: string,
  scope: Scope,
  run: PlanRun,
): Promise<JsonValue> {
  switch (node.form) {
    case 'step':
      return await runStep(node, activityId, scope, run);
    case 'map':
      return await runMap(node, activityId, scope, run);
    case 'approval':
      return await askApproval(node, activityId, scope, run);
  }
}

async function runMap(map: PlannedMap, prefix: string, scope: Scope, run: PlanRun): Promise<JsonValue> {
  const items = itemsOf(map, prefix, scope, run);
  const lanes = new Permits(map.concurrency);
  const outputs: JsonValue[] = new Array<JsonValue>(items.length).fill(null);
  await CancellationScope.cancellable(async () => {
    const branch = CancellationScope.current();
    const work = items.map(async (item, index) => {
      outputs[index] = await lanes.run(async () => {
        stopIfCancelled();
        return await runNodes(map.body, `${prefix}/${index}`, { ...scope, item }, run);
      });
    });
    for (const one of work) cancelOnFailure(one, branch);
    await settle(work);
  });
  return outputs;
}

/** The items of a map. Throws `INVALID_SPEC` when they are no list, or too many for what the plan has come to so far. */
function itemsOf(map: PlannedMap, prefix: string, scope: Scope, run: PlanRun): readonly JsonValue[] {
  const items = replaceReferences(map.over, scope, prefix);
  if (!Array.isArray(items) || items.length > MAX_MAP_ITEMS) {
    const given = Array.isArray(items) ? `${items.length} items` : typeof items;
    throw fail('INVALID_SPEC', `Map ${prefix} needs a list of at most ${MAX_MAP_ITEMS} items, not ${given}.`);
  }
  // The plan has counted it already, but for the items of a list that was not known.
  run.steps += mapSteps(map.body.length, items.length) - stepsOfNode(map);
  if (run.steps > MAX_PLAN_STEPS) {
    const why = `${items.length} items of ${map.body.length} steps bring the plan to ${run.steps} steps`;
    throw fail('INVALID_SPEC', `Map ${prefix}: ${why}; at most ${MAX_PLAN_STEPS} fit one run.`);
  }
  return items as readonly JsonValue[];
}
