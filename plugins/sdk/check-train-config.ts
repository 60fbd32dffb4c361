import type { z } from 'zod';
import { EscadaFailure } from './contracts/failure.ts';
import { trainConfigSchema, type TrainConfig } from '../../schemas/spec/full-config.ts';
import { loraConfigSchema, type LoraConfig } from '../../schemas/spec/lora-config.ts';
import { formatPath } from './issues.ts';

/** Checks the settings of a training that did not come through a spec. Throws `ENGINE_REQUEST_INVALID` with the fields. */
export function checkedLoraConfig(config: unknown): LoraConfig {
  return checked(loraConfigSchema, config);
}

/** As `checkedLoraConfig`, for trainers that train all weights, too. */
export function checkedTrainConfig(config: unknown): TrainConfig {
  return checked(trainConfigSchema, config);
}

function checked<T>(schema: z.ZodType<T>, config: unknown): T {
  const parsed = schema.safeParse(config);
  if (parsed.success) return parsed.data;
  const message = parsed.error.issues
    .map((issue) => `${formatPath(['config', ...issue.path])}: ${issue.message}`)
    .join('; ');
  throw new EscadaFailure({ code: 'ENGINE_REQUEST_INVALID', message });
}
