/** The nodes of a plan that hold no others: steps and approvals. What a run before has finished is not done again. */
import { proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { StepActivities } from '../../activities/step-activities.ts';
import type { JsonObject, JsonValue } from '../../schemas/common/json.ts';
import type { PlannedApproval, PlannedStep } from '../../schemas/plan/pipeline-plan.ts';
import type { Scope } from '../../schemas/plan/references.ts';
import { fail } from '../shared/fail.ts';
import { guardHistory, guardPayload } from '../shared/payload.ts';
import { toJson } from '../shared/plan-border.ts';
import type { PlanRun } from './plan-run.ts';
import { replaceReferences } from './replace-references.ts';
import { stopIfCancelled } from './settle.ts';
import { stepOptions } from './step-options.ts';

/** Schedules a step when a permit is free, and keeps its output. */
export async function runStep(
  step: PlannedStep,
  activityId: string,
  scope: Scope,
  run: PlanRun,
): Promise<JsonValue> {
  const finished = run.results[activityId];
  if (finished !== undefined) return finished;
  const input = replaceReferences(step.with, scope, activityId) as JsonObject;
  guardPayload(`${activityId}: what the step is given`, input);
  return await run.permits.run(async () => {
    stopIfCancelled();
    run.continuation?.admit();
    const activities = proxyActivities<StepActivities>(stepOptions(step, activityId));
    const activity = activities[step.uses];
    if (activity === undefined) throw fail('STEP_KIND_UNKNOWN', `There is no step kind "${step.uses}".`);
    guardHistory();
    run.observer.started(activityId);
    const result = await activity(input, { firstRunId: workflowInfo().firstExecutionRunId });
    run.results[activityId] = result.output;
    run.observer.finished(activityId, result);
    return result.output;
  });
}

/** Asks a person. A waiting approval holds no permit: other branches continue. */
export async function askApproval(
  node: PlannedApproval,
  id: string,
  scope: Scope,
  run: PlanRun,
): Promise<JsonValue> {
  const finished = run.results[id];
  if (finished !== undefined) return finished;
  const { title, timeoutSeconds } = node;
  const subject = replaceReferences(node.subject, scope, id);
  if (run.approvals === undefined) throw fail('INTERNAL', `${id}: nothing here can ask a person.`);
  run.continuation?.admit();
  const record = await run.approvals.ask({ id, title, subject, timeoutSeconds });
  if (record.verdict === 'approve') return (run.results[id] = toJson(record));
  if (record.verdict === 'timed-out') {
    throw fail('APPROVAL_TIMED_OUT', `${id}: nobody answered "${title}" within ${timeoutSeconds} s.`);
  }
  const by = record.by === '' ? '' : ` by ${record.by}`;
  throw fail('APPROVAL_REJECTED', `${id}: "${title}" was rejected${by}. ${record.comment}`.trim());
}
