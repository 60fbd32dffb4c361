import type { JsonObject } from '../../schemas/common/json.ts';
import type { AdaptationSpec } from '../../schemas/spec/adaptation-spec.ts';

/** What an adaptation gives to its curation pipeline, beside the pipeline's own inputs. */
export function curationInputs({ data, model, task, seed }: AdaptationSpec): JsonObject {
  const inputs = {
    source: data.source,
    columns: data.columns,
    model,
    task: { system: task.system, instruction: task.instruction },
    maxPromptTokens: task.maxPromptTokens,
    maxAnswerTokens: task.maxAnswerTokens,
    sizes: data.sizes,
    seed,
  };
  // Members that the spec leaves out are absent, as they are once a plan has travelled.
  return JSON.parse(JSON.stringify(inputs)) as JsonObject;
}
