/**
 * What options name and leave out: a model, trainer or retriever gets the default of the plugin list, and a model all
 * options of its provider's schema, so that a plan says what runs without asking anybody's defaults.
 */
import type { Registry } from '../../plugins/host/registry.ts';
import type { ComponentRefs } from '../../plugins/sdk/contracts/component-refs.ts';
import { formatPath } from '../../plugins/sdk/issues.ts';
import { checkValue } from '../../plugins/sdk/schema-check/check-value.ts';
import type { JsonObject, JsonValue } from '../../schemas/common/json.ts';
import type { ModelChoice, ModelRef } from '../../schemas/common/model-ref.ts';
import { literal, literalIn, parseReference, stringsIn } from '../../schemas/plan/references.ts';
import type { IssueList } from './issue-list.ts';

/** A spec's model with everything that its provider needs to know. Null, and issues at `path`, where that cannot be. */
export function completeModel(
  { provider: named, id: given, options }: ModelChoice,
  registry: Registry,
  path: string,
  issues: IssueList,
): ModelRef | null {
  const { provider: usual, model: usualId } = registry.defaults;
  const name = named ?? usual;
  const known = registry.providers.names().join(', ');
  if (name === undefined) {
    issues.add(`${path}.provider`, `is missing, and the plugin list has no default. Known: ${known}.`);
    return null;
  }
  const provider = issues.attempt(`${path}.provider`, () => registry.providers.get(name));
  const id = given ?? (name === usual ? usualId : undefined);
  if (id === undefined) issues.add(`${path}.id`, `is missing: provider "${name}" has no default model.`);
  if (provider === null) return null;
  const checked = checkValue(provider.optionsSchema, options);
  if (!checked.success)
    for (const issue of checked.issues)
      issues.add(formatPath([path, 'options', ...issue.path]), issue.message);
  if (id === undefined || !checked.success) return null;
  return { provider: name, id, options: checked.data as ModelRef['options'] };
}

/** Options of a step or rung with the defaults of the plugin list. What holds a reference stays as it is. */
export function completeParts(
  names: ComponentRefs | undefined,
  options: JsonObject,
  registry: Registry,
): JsonObject {
  const inner = literalIn(options);
  if (inner !== undefined) return isObject(inner) ? literal(completed(names, inner, registry)) : options;
  return completed(names, options, registry);
}

function completed(names: ComponentRefs | undefined, options: JsonObject, registry: Registry): JsonObject {
  const { provider, model: id, trainer, retriever } = registry.defaults;
  const usual: Readonly<Record<string, JsonValue | undefined>> = {
    models: provider === undefined || id === undefined ? undefined : { provider, id },
    trainers: trainer,
    retrievers: retriever,
  };
  const complete = { ...options };
  for (const [field, sort] of Object.entries(names ?? {})) {
    if (field.includes('.')) continue;
    const value = options[field] ?? usual[sort];
    if (value !== undefined) complete[field] = sort === 'models' ? withOptions(value, registry) : value;
  }
  return complete;
}

/** A model's options as its provider's schema completes them; what is wrong with them is an issue of its own. */
function withOptions(value: JsonValue, registry: Registry): JsonValue {
  const inner = literalIn(value) ?? value;
  const hasReference = inner === value && stringsIn(value).some(({ text }) => parseReference(text) !== null);
  if (hasReference || !isObject(inner) || typeof inner['provider'] !== 'string') return value;
  if (!registry.providers.has(inner['provider'])) return value;
  const { optionsSchema } = registry.providers.get(inner['provider']);
  const checked = checkValue(optionsSchema, inner['options'] ?? {});
  return checked.success ? literal({ ...inner, options: checked.data as JsonObject }) : value;
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
