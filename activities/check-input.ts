import type { StepKindV1 } from '../plugins/sdk/contracts/step-kind.ts';
import { EscadaFailure } from '../plugins/sdk/contracts/failure.ts';
import { formatIssues } from '../plugins/sdk/issues.ts';
import type { JsonObject } from '../schemas/common/json.ts';
import { checkValue } from '../plugins/sdk/schema-check/check-value.ts';

/** A step's input as its kind's schema reads it, defaults filled in. Throws `INVALID_SPEC` with step, kind and fields. */
export function checkInput(kind: StepKindV1, input: JsonObject, nodeId: string): unknown {
  const parsed = checkValue(kind.withSchema, input);
  if (parsed.success) return parsed.data;
  throw new EscadaFailure({
    code: 'INVALID_SPEC',
    message: `Step ${nodeId} (${kind.kind}): ${formatIssues(parsed.issues, 'with')}`,
  });
}
