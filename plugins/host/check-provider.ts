import { EscadaFailure } from '../sdk/contracts/failure.ts';
import type { LanguageModelProviderV1 } from '../sdk/contracts/language-model.ts';

/** Throws `PLUGIN_KIND_INVALID` for a provider whose limits of calls are not whole numbers of 1 or more. */
export function checkProvider(provider: LanguageModelProviderV1, owner: string): void {
  for (const field of ['rowsPerCall', 'maxConcurrentCalls'] as const) {
    const limit: unknown = provider[field];
    if (limit === undefined || (Number.isSafeInteger(limit) && Number(limit) >= 1)) continue;
    throw new EscadaFailure({
      code: 'PLUGIN_KIND_INVALID',
      message: `Plugin ${owner}, model provider "${provider.id}": ${field} must be a whole number of 1 or more, or be left out.`,
      fields: { plugin: owner, kind: 'model provider', name: provider.id, field },
    });
  }
}
