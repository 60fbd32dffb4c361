import type { ModelRef } from '../../schemas/common/model-ref.ts';
import { canonicalJson } from './canonical-json.ts';
import type { StepServices } from './contracts/step-kind.ts';

/**
 * Cache salt of a model: what its answers depend on beyond the step's options. The identity that the model states, else
 * provider, id and options, which is all that is known of a model without `doDescribe`.
 */
export async function modelSalt(
  { model: ref }: { readonly model: ModelRef },
  services: Pick<StepServices, 'languageModel'>,
  signal: AbortSignal,
): Promise<string> {
  const model = services.languageModel(ref);
  const described = await model.doDescribe?.(signal);
  return described?.cacheKey ?? canonicalJson({ provider: ref.provider, id: ref.id, options: ref.options });
}
