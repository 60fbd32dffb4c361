import type { ActivityDeps } from './control-activities.ts';
import { createServices } from './services.ts';
import { Context } from '@temporalio/activity';
import type { JsonObject } from '../schemas/common/json.ts';
import type { StepOrigin, StepResult } from '../schemas/plan/pipeline-plan.ts';
import type { ArtifactStoreV1, StepPlace } from '../plugins/sdk/contracts/artifact-store.ts';
import type { StepKindV1, StepServices } from '../plugins/sdk/contracts/step-kind.ts';
import type { Registry } from '../plugins/host/registry.ts';
import { stepClasses } from '../core/compile/step-classes.ts';
import { billed, UNBILLED } from './billing.ts';
import { checkInput } from './check-input.ts';
import { executeStep } from './execute-step.ts';
import { translateFailure } from './failures.ts';
import { publishedResult } from './published-result.ts';
import { withProviderCalls } from './provider-calls.ts';
import { startPulse } from './pulse.ts';
import type { FinishedAction } from '../core/store/action-cache.ts';
import { stepUsage } from './step-usage.ts';
import { requireInputs } from './require-inputs.ts';
import { whileRunning } from './running.ts';

/** One Activity for each step kind, under the kind's name. */
export function createStepActivities(deps: ActivityDeps): Record<string, ReturnType<typeof stepActivity>> {
  const { host, store, dataRoots } = deps;
  const services = createServices({ registry: host.registry, store, dataRoots });
  return Object.fromEntries(
    host.registry.stepKinds
      .values()
      .map((kind) => [kind.kind, stepActivity(kind, { store, services, registry: host.registry })]),
  );
}

/** The step activities as workflow code calls them: by kind, with the step's `with` and where it comes from. */
export type StepActivities = ReturnType<typeof createStepActivities>;

export interface StepDeps {
  readonly store: ArtifactStoreV1;
  /** A plain object: its members are handed on to every step. */
  readonly services: StepServices;
  /** Codes of failures, versions of plugins, and what providers declare. */
  readonly registry: Registry;
}

/**
 * Makes the Activity of one step kind. Its arguments are the step's `with`, references already replaced, and the run that
 * attempts share what they made with.
 */
export function stepActivity(kind: StepKindV1, deps: StepDeps) {
  return async (input: JsonObject, origin?: StepOrigin): Promise<StepResult> => {
    try {
      const place = placeOf(Context.current(), origin);
      return await whileRunning(`${place.nodeId} (${kind.kind})`, () =>
        deps.store.withHold(place, () => runStep(kind, input, deps, place)),
      );
    } catch (error) {
      const { cancellationSignal, info } = Context.current();
      // Whatever broke because of a cancellation is that cancellation: Temporal decides by its class what comes next.
      throw cancellationSignal.aborted
        ? cancellationSignal.reason
        : translateFailure(error, deps.registry.failureCodes, { attempt: info.attempt });
    }
  };
}

function placeOf({ info }: Context, origin: StepOrigin | undefined): StepPlace {
  const { namespace, workflowExecution, activityId } = info;
  const { workflowId, runId } = workflowExecution ?? { workflowId: 'none', runId: 'none' };
  return { namespace, workflowId, firstRunId: origin?.firstRunId ?? runId, nodeId: activityId };
}

const runIdOf = ({ info }: Context): string => info.workflowExecution?.runId ?? 'none';

async function runStep(
  kind: StepKindV1,
  input: JsonObject,
  { store, services, registry }: StepDeps,
  place: StepPlace,
): Promise<StepResult> {
  // Captured once: Activity calls inside abort listeners and timers run outside the Activity's own context.
  const context = Context.current();
  const options = checkInput(kind, input, place.nodeId);
  const pulse = startPulse(context, kind);
  try {
    const salt = await pulse.guard(
      async () => (await kind.doCacheSalt?.(options, services, pulse.signal)) ?? '',
    );
    const plugins = registry.versionsUsedBy(kind, options);
    const runId = runIdOf(context);
    const result = publishedResult(store, { kind, input, salt, plugins, place, runId });
    const found = await result.find();
    if (found !== null) return resultOf(input, found, true);
    await requireInputs(store, input, place.nodeId);
    // What a plan could not know is known by now: the classes of this very step.
    const isBillable = stepClasses(kind, options, registry.lookups).retry === 'billable';
    const payer = { store, place, runId };
    const billing = { attempt: context.info.attempt, table: registry.failureCodes, ...payer };
    const bill = isBillable ? billed(billing) : UNBILLED;
    const scratch = await store.openScratch(place, result.key);
    const { providers } = registry;
    const find = (id: string) => (providers.has(id) ? providers.get(id) : undefined);
    const attempt = { services: withProviderCalls(services, find, payer), pulse, scratch };
    const finished = await bill.run(() => pulse.guard(() => executeStep(kind, options, attempt)));
    await bill.publish(() => result.publish(finished));
    await scratch.finish();
    return resultOf(input, finished, false);
  } finally {
    pulse.stop();
  }
}

function resultOf(input: JsonObject, { output, seconds }: FinishedAction, cached: boolean): StepResult {
  return { output, cached, seconds, usage: stepUsage(input, output) };
}
