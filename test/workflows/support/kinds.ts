import { z } from 'zod';
import type { PluginV1 } from '../../../plugins/sdk/contracts/plugin.ts';
import type { StepKindV1 } from '../../../plugins/sdk/contracts/step-kind.ts';
import type { RetryClass } from '../../../schemas/plan/pipeline-plan.ts';
import type { ResourceClass } from '../../../schemas/plan/queues.ts';

/** A kind that specs may name although no worker has it. */
export const ABSENT_KIND = 'test.absent@1';

/** A step kind that takes and gives any object. What it does is scripted, so that it has nothing to run. */
function kindOf(name: string, retry: RetryClass, resource: ResourceClass = 'cpu'): StepKindV1 {
  return {
    specificationVersion: 'v1',
    kind: name,
    title: name,
    resource,
    retry,
    cacheable: false,
    startToCloseTimeoutMs: 60_000,
    heartbeatTimeoutMs: 5000,
    withSchema: z.record(z.string(), z.json()),
    outputSchema: z.record(z.string(), z.json()),
    doRun: () => Promise.reject(new Error('steps of this kind are scripted')),
  };
}

/** One kind for each retry class, one that needs the device, one that waits for a service, and one that no worker has. */
export const testKinds: PluginV1 = {
  name: 'test-kinds',
  version: '1.0.0',
  apiVersion: 1,
  needs: [],
  optionsSchema: z.strictObject({}),
  register: (registrar) => {
    for (const retry of ['readOnly', 'idempotentWrite', 'resumable', 'billable'] as const)
      registrar.addStepKind(kindOf(`test.${retry.toLowerCase()}@1`, retry));
    registrar.addStepKind(kindOf('test.device@1', 'resumable', 'gpu'));
    registrar.addStepKind(kindOf('test.service@1', 'billable', 'io'));
    registrar.addStepKind(kindOf(ABSENT_KIND, 'resumable'));
  },
  close: () => Promise.resolve(),
};
