/** Where typed code meets a plan, whose steps take and give any JSON object: the one place of workflow code that casts. */
import type { Jsonable, JsonObject, JsonValue } from '../../schemas/common/json.ts';
import { fail } from './fail.ts';

/** A typed value as the steps of a plan take it. What does not survive JSON is refused by the compiler. */
export function toJson<T extends object>(value: T & Jsonable<T>): JsonObject {
  return value as unknown as JsonObject;
}

/** What a step gave, as its kind gives it: the step's activity has checked it against the kind's schema. */
export function fromJson<T extends object>(output: JsonValue): T {
  return output as unknown as T;
}

/** Outputs of a plan's nodes by id. */
export type NodeOutputs = { readonly [node: string]: JsonValue };

/**
 * The output of a node that the compiler puts into every plan of this sort. Throws `INTERNAL` when the plan has no such
 * node.
 */
export function outputOf<T extends object>(outputs: NodeOutputs, node: string): T {
  const output = outputs[node];
  if (output === undefined) throw fail('INTERNAL', `The plan has no node "${node}".`);
  return fromJson<T>(output);
}
