import type { ActivityDeps } from './control-activities.ts';
import { stepActivity } from './run-step.ts';
import { createServices } from './services.ts';

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
