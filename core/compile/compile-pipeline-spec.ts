import type { PluginHost } from '../../plugins/host/host.ts';
import type { JsonObject } from '../../schemas/common/json.ts';
import type { PipelinePlan } from '../../schemas/plan/pipeline-plan.ts';
import { compilePipeline } from './compile-pipeline.ts';
import { IssueList } from './issue-list.ts';
import { parsePipelineSpec } from './parse-spec.ts';

/** Compiles a user's own pipeline. Throws `INVALID_SPEC` with every issue. */
export function compilePipelineSpec(
  raw: unknown,
  host: PluginHost,
): { readonly plan: PipelinePlan; readonly inputs: JsonObject } {
  const spec = parsePipelineSpec(raw);
  const issues = new IssueList();
  const plan = compilePipeline(spec, { registry: host.registry, inputs: [], path: 'spec' }, issues);
  issues.throwIfAny();
  return { plan, inputs: spec.inputs };
}
