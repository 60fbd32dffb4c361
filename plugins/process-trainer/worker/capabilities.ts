import type { LoraConfig } from '../../../schemas/spec/lora-config.ts';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import type { BaseModel } from '../../sdk/contracts/trainer.ts';
import type { Capabilities } from './protocol.ts';

/**
 * Refuses what a trainer does not do, all of it at once, and returns the format in which it is to hold the weights. Throws
 * `TRAINER_UNSUPPORTED` with the fields.
 */
export function requireSupported(
  trainer: string,
  capabilities: Capabilities,
  asked: { readonly config: LoraConfig; readonly model: BaseModel },
): Capabilities['weightFormats'][number] {
  const { config, model } = asked;
  const issues = [
    oneOf("format of the model's weights", model.weightFormat ?? 'unknown', capabilities.weightFormats),
    oneOf(
      `the model's files (${model.path})`,
      model.path.endsWith('.gguf') ? 'gguf' : 'hf-folder',
      capabilities.modelFiles,
    ),
    oneOf('config.optim', config.optim, capabilities.optim),
    oneOf('config.lrSchedulerType', config.lrSchedulerType, capabilities.lrSchedulerTypes),
    oneOf('config.rsLora', config.rsLora, capabilities.rsLora ? [true, false] : [false]),
    oneOf('config.packing', config.packing, capabilities.packing ? [true, false] : [false]),
    oneOf('config.nonFinite', config.nonFinite, capabilities.nonFinite ?? ['stop']),
  ].filter((issue) => issue !== null);
  const format = capabilities.weightFormats.find((one) => one === model.weightFormat);
  if (issues.length === 0 && format !== undefined) return format;
  throw new EscadaFailure({
    code: 'TRAINER_UNSUPPORTED',
    message: `trainer "${trainer}": ${issues.join('; ')}`,
    fields: { trainer, issues },
  });
}

function oneOf<T>(field: string, value: T, able: readonly T[]): string | null {
  return able.includes(value)
    ? null
    : `${field}: ${String(value)} is not supported; it takes ${able.join(', ')}`;
}
