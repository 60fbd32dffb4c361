import type { PlanLookups } from './contracts/step-kind.ts';
import type { RetryClass } from '../../schemas/plan/pipeline-plan.ts';
import type { ResourceClass } from '../../schemas/plan/queues.ts';

/** Options of a step that calls a model, as far as they are known. */
interface ModelOptions {
  readonly model?: { readonly provider?: string | undefined } | undefined;
}

/**
 * Resource class and retry class of a step kind that calls the model in `with.model`: those of its provider. Where the
 * provider is not known when the plan is compiled, the step runs on the queue `gpu`.
 */
export const MODEL_STEP = {
  resource: ({ model }: ModelOptions, lookups: PlanLookups): ResourceClass =>
    lookups.provider(model?.provider)?.resource ?? 'gpu',
  retry: ({ model }: ModelOptions, lookups: PlanLookups): RetryClass =>
    lookups.provider(model?.provider)?.billable === true ? 'billable' : 'idempotentWrite',
};
