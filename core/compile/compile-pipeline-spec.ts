import type { PluginHost } from '../../plugins/host/host.ts';
import type { JsonObject } from '../../schemas/common/json.ts';
import type { PipelinePlan } from '../../schemas/plan/pipeline-plan.ts';
import { pipelineSpecSchema } from '../../schemas/spec/pipeline-spec.ts';
import { describeIssue, formatPath } from '../../plugins/sdk/issues.ts';
import { compilePipeline } from './compile-pipeline.ts';
import { IssueList } from './issue-list.ts';
import { refuseOversize } from './refuse-oversize.ts';

/** Compiles a user's own pipeline. Throws `INVALID_SPEC` with every issue. */
export function compilePipelineSpec(
  raw: unknown,
  host: PluginHost,
): { readonly plan: PipelinePlan; readonly inputs: JsonObject } {
  refuseOversize(raw);
  const issues = new IssueList();
  const parsed = pipelineSpecSchema.safeParse(raw);
  if (!parsed.success) {
    for (const issue of parsed.error.issues)
      issues.add(formatPath(issue.path) || 'spec', describeIssue(issue, raw));
    issues.throwIfAny();
    throw parsed.error;
  }
  const plan = compilePipeline(parsed.data, { registry: host.registry, inputs: [], path: 'spec' }, issues);
  issues.throwIfAny();
  return { plan, inputs: parsed.data.inputs };
}
