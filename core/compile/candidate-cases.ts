import { canonicalJson } from '../../plugins/sdk/canonical-json.ts';
import type { JsonObject, JsonValue } from '../../schemas/common/json.ts';
import type { PlannedRung } from '../../schemas/plan/adaptation-plan.ts';
import type { PlannedStep } from '../../schemas/plan/pipeline-plan.ts';
import { literalIn } from '../../schemas/plan/references.ts';
import { knownOptions } from './known-options.ts';

/**
 * Inputs `candidate` that the test plan may get, as far as they are known before a run: one for each model of the rungs.
 * A candidate whose model only a run knows has none here.
 */
export function candidateCases(rungs: readonly PlannedRung[]): readonly JsonObject[] {
  const cases = rungs.flatMap(modelsOf).map((model): JsonObject => {
    const known = knownOptions({ model }, { inputs: {} }).model;
    return { candidate: known === undefined ? {} : { model: known as JsonValue } };
  });
  return [...new Map(cases.map((one) => [canonicalJson(one), one])).values()];
}

/** The model of the node `result`; of a rung whose node names none, those of all of its steps. */
function modelsOf({ plan }: PlannedRung): JsonValue[] {
  const nodes = plan?.nodes ?? [];
  const result = nodes.find(({ id }) => id === 'result');
  const named = result?.form === 'step' ? modelIn(result) : [];
  if (named.length > 0) return named;
  return nodes.flatMap((node) => {
    if (node.form === 'approval') return [];
    return (node.form === 'map' ? node.body : [node]).flatMap(modelIn);
  });
}

function modelIn({ with: options }: PlannedStep): JsonValue[] {
  const { model } = (literalIn(options) ?? options) as { readonly model?: JsonValue };
  return model === undefined ? [] : [model];
}
