import {
  CancellationScope,
  CancelledFailure,
  isCancellation,
  proxyActivities,
  workflowInfo,
} from '@temporalio/workflow';
import { MAX_MAP_ITEMS, MAX_PLAN_STEPS } from '../../schemas/plan/constants.ts';
import type { JsonObject, JsonValue } from '../../schemas/common/json.ts';
import type {
  PipelinePlan,
  PlannedApproval,
  PlannedMap,
  PlannedNode,
  PlannedStep,
  StepResult,
} from '../../schemas/plan/pipeline-plan.ts';
import { mapSteps, stepsOfNode, stepsOfPlan } from '../../schemas/plan/plan-size.ts';
import type { Scope } from '../../schemas/plan/references.ts';
import type { Approvals } from '../shared/approvals.ts';
import type { StepActivities } from '../../activities/step-activities.ts';
import { fail } from '../shared/fail.ts';
import { toJson, type NodeOutputs } from '../shared/plan-border.ts';
import { guardHistory, guardPayload } from '../shared/payload.ts';
import { Permits } from '../shared/permits.ts';
import { requireVersion } from '../shared/plan-version.ts';
import { replaceReferences } from './replace-references.ts';
import { stepOptions } from './step-options.ts';

/** Most steps of one plan that run at once. */
const MAX_CONCURRENT_STEPS = 8;

/** Told when steps start and end, for progress. */
export interface StepObserver {
  started(activityId: string): void;
  finished(activityId: string, result: StepResult): void;
}

export interface RunPlanInput {
  readonly plan: PipelinePlan;
  readonly inputs: JsonObject;
  /** Activity ids are `<prefix>/<node id>`. */
  readonly prefix: string;
  readonly observer: StepObserver;
  readonly approvals: Approvals;
}

interface Run {
  readonly inputs: JsonObject;
  readonly observer: StepObserver;
  readonly approvals: Approvals;
  readonly permits: Permits;
  /** Steps that the plan has come to so far: maps are counted when their items are known. */
  steps: number;
}

/**
 * Runs a compiled plan. Nodes start, in plan order, as soon as those they need have finished; when one fails, the
 * others are cancelled and awaited before the failure is passed on. Returns every node's output by id.
 */
export async function runPlan(input: RunPlanInput): Promise<NodeOutputs> {
  requireVersion(`The plan "${input.plan.name}"`, input.plan);
  const run: Run = {
    inputs: input.inputs,
    observer: input.observer,
    approvals: input.approvals,
    permits: new Permits(MAX_CONCURRENT_STEPS),
    steps: stepsOfPlan(input.plan.nodes),
  };
  return await runNodes(input.plan.nodes, input.prefix, { inputs: input.inputs, nodes: {} }, run);
}

async function runNodes(
  nodes: readonly PlannedNode[],
  prefix: string,
  scope: Scope,
  run: Run,
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
      work.catch(() => branch.cancel());
    }
    await settle([...running.values()]);
  });
  return outputs;
}

/** Waits for all, then throws the first failure that is not the echo of a cancellation. */
async function settle(work: readonly Promise<void>[]): Promise<void> {
  const reasons = (await Promise.allSettled(work)).flatMap((one) =>
    one.status === 'rejected' ? [one.reason as unknown] : [],
  );
  if (reasons.length > 0) throw reasons.find((reason) => !isCancellation(reason)) ?? reasons[0];
}

async function runNode(node: PlannedNode, activityId: string, scope: Scope, run: Run): Promise<JsonValue> {
  switch (node.form) {
    case 'step':
      return await runStep(node, activityId, scope, run);
    case 'map':
      return await runMap(node, activityId, scope, run);
    case 'approval':
      return await askApproval(node, activityId, scope, run);
  }
}

/** A waiting approval holds no permit: other branches go on. */
async function askApproval(node: PlannedApproval, id: string, scope: Scope, run: Run): Promise<JsonValue> {
  const { title, timeoutSeconds } = node;
  const subject = replaceReferences(node.subject, scope, id);
  const record = await run.approvals.ask({ id, title, subject, timeoutSeconds });
  if (record.verdict === 'approve') return toJson(record);
  if (record.verdict === 'timed-out') {
    throw fail('APPROVAL_TIMED_OUT', `${id}: nobody answered "${title}" within ${timeoutSeconds} s.`);
  }
  const by = record.by === '' ? '' : ` by ${record.by}`;
  throw fail('APPROVAL_REJECTED', `${id}: "${title}" was rejected${by}. ${record.comment}`.trim());
}

async function runStep(step: PlannedStep, activityId: string, scope: Scope, run: Run): Promise<JsonValue> {
  const input = replaceReferences(step.with, scope, activityId) as JsonObject;
  guardPayload(`${activityId}: what the step is given`, input);
  return await run.permits.run(async () => {
    stopIfCancelled();
    const activities = proxyActivities<StepActivities>(stepOptions(step, activityId));
    const activity = activities[step.uses];
    if (activity === undefined) throw fail('STEP_KIND_UNKNOWN', `There is no step kind "${step.uses}".`);
    guardHistory();
    run.observer.started(activityId);
    const result = await activity(input, { firstRunId: workflowInfo().firstExecutionRunId });
    run.observer.finished(activityId, result);
    return result.output;
  });
}

/** Of thousands of steps that wait when a run is cancelled, none is to be scheduled, or shown as started. */
function stopIfCancelled(): void {
  if (CancellationScope.current().consideredCancelled)
    throw new CancelledFailure('Cancelled before it started');
}

async function runMap(map: PlannedMap, prefix: string, scope: Scope, run: Run): Promise<JsonValue> {
  const items = replaceReferences(map.over, scope, prefix);
  if (!Array.isArray(items) || items.length > MAX_MAP_ITEMS) {
    const found = Array.isArray(items) ? `${items.length} items` : typeof items;
    throw fail('INVALID_SPEC', `Map ${prefix} needs a list of at most ${MAX_MAP_ITEMS} items, not ${found}.`);
  }
  // The plan has counted it already, but for the items of a list that was not known.
  run.steps += mapSteps(map.body.length, items.length) - stepsOfNode(map);
  if (run.steps > MAX_PLAN_STEPS) {
    const why = `${items.length} items of ${map.body.length} steps bring the plan to ${run.steps} steps`;
    throw fail('INVALID_SPEC', `Map ${prefix}: ${why}; at most ${MAX_PLAN_STEPS} fit one run.`);
  }
  const lanes = new Permits(map.concurrency);
  const outputs: JsonValue[] = new Array<JsonValue>(items.length).fill(null);
  await CancellationScope.cancellable(async () => {
    const branch = CancellationScope.current();
    const work = items.map(async (item: JsonValue, index) => {
      outputs[index] = await lanes.run(async () => {
        stopIfCancelled();
        return await runNodes(map.body, `${prefix}/${index}`, { ...scope, item }, run);
      });
    });
    for (const one of work) one.catch(() => branch.cancel());
    await settle(work);
  });
  return outputs;
}
