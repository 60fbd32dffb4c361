import { EscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import {
  RETRY_CLASSES,
  type PlanLookups,
  type PlannedBy,
  type StepKindV1,
} from '../../plugins/sdk/contracts/step-kind.ts';
import type { RetryClass } from '../../schemas/plan/pipeline-plan.ts';
import { RESOURCE_CLASSES, type ResourceClass } from '../../schemas/plan/queues.ts';

/** Where a step runs, and how it may be tried again. */
export interface StepClasses {
  readonly resource: ResourceClass;
  readonly retry: RetryClass;
}

type Kind = Pick<StepKindV1, 'kind' | 'resource' | 'retry'>;

/**
 * The classes of a step with these options, which may be known in part only. Throws `PLUGIN_KIND_INVALID` where the kind's
 * own function fails or returns no class.
 */
export function stepClasses(kind: Kind, options: unknown, lookups: PlanLookups): StepClasses {
  const decide = <Value extends string>(
    field: 'resource' | 'retry',
    declared: PlannedBy<Value>,
    allowed: readonly Value[],
  ): Value => {
    const value =
      typeof declared === 'function' ? call(kind, field, () => declared(options, lookups)) : declared;
    if (allowed.includes(value)) return value;
    throw invalid(kind, field, `is ${JSON.stringify(value)}; use one of ${allowed.join(', ')}`);
  };
  return {
    resource: decide('resource', kind.resource, RESOURCE_CLASSES),
    retry: decide('retry', kind.retry, RETRY_CLASSES),
  };
}

/**
 * The classes of a step that runs with each, or with any, of several options, such as the body of a map. Where they do not
 * agree: the resource of options without what they differ in, and `billable` if one of them costs money.
 */
export function commonClasses(
  kind: Kind,
  options: readonly unknown[],
  unknown: unknown,
  lookups: PlanLookups,
): StepClasses {
  const usual = stepClasses(kind, unknown, lookups);
  const all = options.map((one) => stepClasses(kind, one, lookups));
  const agreed = <Field extends keyof StepClasses>(field: Field): StepClasses[Field] => {
    const [first] = all;
    return first !== undefined && all.every((one) => one[field] === first[field])
      ? first[field]
      : usual[field];
  };
  const isBillable = all.some(({ retry }) => retry === 'billable');
  return { resource: agreed('resource'), retry: isBillable ? 'billable' : agreed('retry') };
}

function call<Value>(kind: Kind, field: string, decide: () => Value): Value {
  try {
    return decide();
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw invalid(
      kind,
      field,
      `fails (${message}); what only a run knows is undefined in its argument`,
      cause,
    );
  }
}

function invalid({ kind }: Kind, field: string, problem: string, cause?: unknown): EscadaFailure {
  return new EscadaFailure({
    code: 'PLUGIN_KIND_INVALID',
    message: `Step kind ${kind}: ${field} ${problem}.`,
    fields: { kind, field },
    cause,
  });
}
