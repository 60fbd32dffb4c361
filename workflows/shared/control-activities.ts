import type { RetryPolicy } from '@temporalio/common';
import { proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { ControlActivities } from '../../activities/control-activities.ts';
import { MAX_RESULT_BYTES } from '../../schemas/plan/constants.ts';
import type { StepOrigin } from '../../schemas/plan/pipeline-plan.ts';
import { guardPayload } from './payload.ts';

const RETRY = {
  initialInterval: '1s',
  maximumInterval: '20s',
  maximumAttempts: 12,
  nonRetryableErrorTypes: ['NotFoundError'],
} satisfies RetryPolicy;

/**
 * Compiling and reporting read artifacts and compute; the report writes files under their digests. All may be repeated,
 * none takes long; what is wrong with a spec stays wrong, so its codes are final.
 */
const brief = proxyActivities<Omit<ControlActivities, 'judgeRung' | 'decide'>>({
  startToCloseTimeout: '5m',
  retry: RETRY,
});

/** Judging and deciding only read, too, but resample: the largest spec takes minutes of every core. They heartbeat. */
const resampling = proxyActivities<Pick<ControlActivities, 'judgeRung' | 'decide'>>({
  startToCloseTimeout: '4h',
  heartbeatTimeout: '1m',
  retry: RETRY,
});

/** What an activity is given, once it is sure that the server will take it. */
function sendable<T>(name: keyof ControlActivities, input: T): T {
  guardPayload(`What ${name} is given`, input, MAX_RESULT_BYTES);
  return input;
}

/** The chain of runs that this one belongs to: they share what they keep. */
const origin = (): StepOrigin => ({ firstRunId: workflowInfo().firstExecutionRunId });

export const control: ControlActivities = {
  compileSpec: (input) => brief.compileSpec(input, origin()),
  compilePipelineSpec: (input) => brief.compilePipelineSpec(input, origin()),
  compileTrainSpec: (input) => brief.compileTrainSpec(input, origin()),
  openApproval: (input) => brief.openApproval(input, origin()),
  keepText: (input) => brief.keepText(input, origin()),
  readText: (input) => brief.readText(input, origin()),
  judgeRung: async (input) => await resampling.judgeRung(sendable('judgeRung', input), origin()),
  decide: async (input) => await resampling.decide(sendable('decide', input), origin()),
  writeReport: async (input) => await brief.writeReport(sendable('writeReport', input), origin()),
};
