import type { ComponentRefs, ComponentKind } from '../../plugins/sdk/contracts/component-refs.ts';
import type { ModelCapability } from '../../plugins/sdk/contracts/language-model.ts';
import type { Registry } from '../../plugins/host/registry.ts';
import { capabilitiesOf, missingCapability } from '../../plugins/sdk/model-calls.ts';
import { modelRefSchema } from '../../schemas/common/model-ref.ts';
import { literalIn, parseReference, withoutLiterals } from '../../schemas/plan/references.ts';
import type { JsonValue } from '../../schemas/common/json.ts';
import { completeModel } from './complete-parts.ts';
import { IssueList, type Issue } from './issue-list.ts';

/**
 * What options name and no plugin brings: an issue each, with the names that there are. References are left to the step
 * that gets their value.
 */
export function wrongComponentRefs(
  names: ComponentRefs | undefined,
  options: unknown,
  path: string,
  registry: Registry,
): readonly Issue[] {
  const wrong = new IssueList();
  for (const [field, kind] of Object.entries(names ?? {}))
    for (const found of valuesAt(options, field.split('.'), path)) check(kind, found, registry, wrong);
  return wrong.issues;
}

interface Found {
  readonly at: string;
  readonly value: unknown;
  readonly isLiteral: boolean;
}

function check(
  kind: ComponentKind,
  { at, value, isLiteral }: Found,
  registry: Registry,
  wrong: IssueList,
): void {
  const isText = (text: unknown): text is string =>
    typeof text === 'string' && (isLiteral || parseReference(text) === null);
  if (kind !== 'models') {
    if (isText(value)) wrong.attempt(at, () => registry[kind].get(value));
    return;
  }
  const model = modelRefSchema.safeParse(withoutLiterals(value as JsonValue));
  if (model.success && isText(model.data.provider)) completeModel(model.data, registry, at, wrong);
}

/** Capabilities that a model lacks, as far as the plan says which model it is: an issue each, at `path`. */
export function missingCapabilities(
  needed: readonly ModelCapability[],
  given: JsonValue | undefined,
  path: string,
  registry: Registry,
): readonly Issue[] {
  const ref = modelRefSchema.safeParse(given === undefined ? given : withoutLiterals(given));
  if (!ref.success || !registry.providers.has(ref.data.provider)) return [];
  const issues = new IssueList();
  const model = issues.attempt(path, () => registry.languageModel(ref.data));
  if (model === null) return [];
  const has = capabilitiesOf(model);
  return needed
    .filter((capability) => !has[capability])
    .map((capability) => ({ path, message: missingCapability(model, capability) }));
}

/** The values of a field, one for each entry of the lists on the way; none where the field is absent. */
function valuesAt(value: unknown, field: readonly string[], path: string, isLiteral = false): Found[] {
  if (Array.isArray(value))
    return value.flatMap((one, index) => valuesAt(one, field, `${path}[${index}]`, isLiteral));
  const inner = literalIn(value);
  if (inner !== undefined) return valuesAt(inner, field, path, true);
  const [key, ...rest] = field;
  if (key === undefined) return [{ at: path, value, isLiteral }];
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return [];
  return valuesAt((value as Readonly<Record<string, unknown>>)[key], rest, `${path}.${key}`, isLiteral);
}
