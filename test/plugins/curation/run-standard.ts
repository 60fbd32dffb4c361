import type { JsonObject, JsonValue } from '../../../schemas/common/json.ts';
import { resolveReferences } from '../../../schemas/plan/references.ts';
import { pipelineSpecSchema } from '../../../schemas/spec/pipeline-spec.ts';
import type { Harness } from './harness.ts';

export type Outputs = { readonly [node: string]: JsonObject };

/** Runs a named pipeline (`standard` without a name) node by node, references replaced as the interpreter does. */
export async function runStandard(harness: Harness, inputs: JsonObject, name = 'standard'): Promise<Outputs> {
  const spec = pipelineSpecSchema.parse(harness.pipelines.get(name));
  const nodes: Record<string, JsonObject> = {};
  for (const node of spec.nodes) {
    if (node.form !== 'step') throw new Error('the standard pipeline has steps only');
    const resolved = resolveReferences(node.with, { inputs, nodes });
    nodes[node.id] = await harness.run(node.uses, resolved);
  }
  return nodes;
}

/** Every artifact digest of some outputs, in a fixed order. */
export function digestsOf(value: JsonValue): string[] {
  if (typeof value !== 'object' || value === null) return [];
  if ('sha256' in value && typeof value.sha256 === 'string') return [value.sha256];
  return Object.values(value as JsonObject).flatMap(digestsOf);
}
