/**
 * Values of a plan that is being written: what is known now, references to what is known when the plan runs, and texts
 * that are a user's own. The three cannot be mistaken for each other.
 */
import type { MapNode, StepNode } from '../../schemas/spec/pipeline-spec.ts';

/** A reference that the interpreter replaces, for instance `${nodes.train.output.adapter}`. */
export type Ref = `\${${string}}`;

/** A value of type `T` in which any part may be a reference. */
export type Planned<T> =
  | Ref
  | (T extends string | number | boolean | null | undefined
      ? T
      : T extends readonly (infer Member)[]
        ? readonly Planned<Member>[]
        : { readonly [Name in keyof T]: Planned<T[Name]> });

/** What the options of a step may hold. Members that are undefined are left out. */
type PlanValue =
  | string
  | number
  | boolean
  | null
  | undefined
  | readonly PlanValue[]
  | { readonly [name: string]: PlanValue };

/** A reference by its path: `ref('inputs.train')`, `ref('item')`, `ref('nodes.index.output.index')`. */
export function ref(path: string): Ref {
  return `\${${path}}`;
}

/** The field of a node's output; without a field, all of it. */
export function outputRef(node: string, field = ''): Ref {
  return ref(field === '' ? `nodes.${node}.output` : `nodes.${node}.output.${field}`);
}

/** A step of a plan. The place where typed options become the JSON of a pipeline; the kind's schema checks them. */
export function planStep(
  id: string,
  uses: string,
  options: { readonly [name: string]: PlanValue },
  after: readonly string[] = [],
): StepNode {
  const known = Object.entries(options).filter(([, value]) => value !== undefined);
  return { id, form: 'step', uses, with: Object.fromEntries(known) as StepNode['with'], after: [...after] };
}

/** A map over a list, one item after the other; its steps read the item as `ref('item')`. */
export function planMap(
  id: string,
  list: Ref | readonly (string | number)[],
  body: readonly StepNode[],
): MapNode {
  const over = typeof list === 'string' ? list : [...list];
  return { id, form: 'map', over, concurrency: 1, body: [...body], after: [] };
}
