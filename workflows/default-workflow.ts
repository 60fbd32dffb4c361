import { workflowInfo } from '@temporalio/workflow';
import { WORKFLOW_NAMES } from '../schemas/plan/constants.ts';
import { fail } from './shared/fail.ts';

/**
 * Called for every unknown workflow type: without it such a run would never end. A long history means that
 * the type was removed while runs of it were alive; those must wait for a worker that knows it, not fail.
 */

export async function unknownWorkflow(): Promise<never> {
  const { workflowType, historyLength } = workflowInfo();
  const message = `There is no workflow "${workflowType}". Known: ${WORKFLOW_NAMES.join(', ')}.`;
  if (historyLength > 10) throw new Error(message);
  throw fail('UNKNOWN_WORKFLOW', message);
}
