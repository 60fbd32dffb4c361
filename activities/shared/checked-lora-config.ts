import { EscadaFailure } from '../../plugins/api/failure.ts';
import { loraConfigSchema, type LoraConfig } from '../../schemas/train/lora-config.ts';
import { formatPath } from './issues.ts';

/** Checks the settings of a training that did not come through a spec. Throws `ENGINE_REQUEST_INVALID` with the fields. */
export function checkedLoraConfig(config: unknown): LoraConfig {
  const parsed = loraConfigSchema.safeParse(config);
  if (parsed.success) return parsed.data;
  const message = parsed.error.issues
    .map((issue) => `${formatPath(['config', ...issue.path])}: ${issue.message}`)
    .join('; ');
  throw new EscadaFailure({ code: 'ENGINE_REQUEST_INVALID', message });
}
