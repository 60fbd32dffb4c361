import type { PartNames } from '../../plugins/sdk/contracts/part-names.ts';
import type { Registry } from '../../plugins/host/registry.ts';
import { literalIn, parseReference } from '../../schemas/plan/references.ts';
import { IssueList, type Issue } from './issue-list.ts';

/**
 * What options name and no plugin brings: an issue each, with the names that there are. References are left to the step
 * that gets their value.
 */
export function wrongPartNames(
  names: PartNames | undefined,
  options: unknown,
  path: string,
  registry: Registry,
): readonly Issue[] {
  const wrong = new IssueList();
  for (const [field, sort] of Object.entries(names ?? {}))
    for (const { at, text } of textsAt(options, field.split('.'), path))
      wrong.attempt(at, () => registry[sort].get(text));
  return wrong.issues;
}

/** The names in a field, one for each entry of the lists on the way; none where the field is absent or a reference. */
function textsAt(
  value: unknown,
  field: readonly string[],
  path: string,
  isLiteral = false,
): { readonly at: string; readonly text: string }[] {
  if (Array.isArray(value))
    return value.flatMap((one, index) => textsAt(one, field, `${path}[${index}]`, isLiteral));
  const inner = literalIn(value);
  if (inner !== undefined) return textsAt(inner, field, path, true);
  const [key, ...rest] = field;
  if (key === undefined) {
    if (typeof value !== 'string' || !(isLiteral || parseReference(value) === null)) return [];
    return [{ at: path, text: value }];
  }
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return [];
  return textsAt((value as Readonly<Record<string, unknown>>)[key], rest, `${path}.${key}`, isLiteral);
}
