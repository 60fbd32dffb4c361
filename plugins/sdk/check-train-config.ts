import type { z } from 'zod';
import { EscadaFailure } from './contracts/failure.ts';
import { trainConfigSchema, type TrainConfig } from '../../schemas/spec/full-config.ts';
import { loraConfigSchema, type LoraConfig } from '../../schemas/spec/lora-config.ts';
import { formatIssues } from './issues.ts';
import { checkValue } from './schema-check/check-value.ts';

/** Checks the settings of a training that did not come through a spec. Throws `ENGINE_REQUEST_INVALID` with the fields. */
export function checkedLoraConfig(config: unknown): LoraConfig {
  return checkedBy(loraConfigSchema, config);
}

/** As `checkedLoraConfig`, for trainers that can do full fine-tuning, too. */
export function checkedTrainConfig(config: unknown): TrainConfig {
  return checkedBy(trainConfigSchema, config);
}

function checkedBy<T>(schema: z.ZodType<T>, config: unknown): T {
  const checked = checkValue(schema, config);
  if (checked.success) return checked.data;
  const issues = checked.issues.map((issue) => ({ ...issue, path: ['config', ...issue.path] }));
  const message = formatIssues(issues, 'config');
  throw new EscadaFailure({ code: 'ENGINE_REQUEST_INVALID', message });
}
