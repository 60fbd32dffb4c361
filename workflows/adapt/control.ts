import { proxyActivities } from '@temporalio/workflow';
import type { ControlActivities } from '../../schemas/adapt/control.ts';

/**
 * Compiling, judging, deciding and reporting read artifacts and compute; the report writes files under their digests.
 * All may be repeated, none takes long; what is wrong with a spec stays wrong, so its codes are final.
 */
export const control = proxyActivities<ControlActivities>({
  startToCloseTimeout: '5m',
  retry: {
    initialInterval: '1s',
    maximumInterval: '20s',
    maximumAttempts: 12,
    nonRetryableErrorTypes: ['NotFoundError'],
  },
});
