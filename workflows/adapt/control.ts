import type { RetryPolicy } from '@temporalio/common';
import { proxyActivities } from '@temporalio/workflow';
import type { ControlActivities } from '../../schemas/adapt/control.ts';

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

export const control: ControlActivities = {
  compileSpec: (input) => brief.compileSpec(input),
  compilePipelineSpec: (input) => brief.compilePipelineSpec(input),
  compileTrainSpec: (input) => brief.compileTrainSpec(input),
  openApproval: (input) => brief.openApproval(input),
  judgeRung: (input) => resampling.judgeRung(input),
  decide: (input) => resampling.decide(input),
  writeReport: (input) => brief.writeReport(input),
};
