import { z } from 'zod';

/**
 * What a model is exported as: a folder as transformers reads it in 32 or 16 bits or with linear layers in NF4 as
 * bitsandbytes stores them, a GGUF file in 32, 16, 8 or 4 bits a weight, or the adapter alone as GGUF.
 */
export const exportFormatSchema = z.enum([
  'safetensors-f32',
  'safetensors-f16',
  'safetensors-bf16',
  'bnb-4bit',
  'gguf-f32',
  'gguf-f16',
  'gguf-q8_0',
  'gguf-q4_0',
  'gguf-lora',
]);

export type ExportFormat = z.infer<typeof exportFormatSchema>;

/**
 * Largest mean |ln p - ln p'| per token of the answers of base and adapter, in nats, with which an export is released.
 * Well above what rounding costs (a 135-million-parameter model: 5e-7 in 32 bits, 3e-4 in 16, 9e-3 in 8, but 0.8 in
 * 4), well below what a wrong merge costs (nats).
 */
export const MAX_DRIFT_NATS: Readonly<Record<Exclude<ExportFormat, 'gguf-lora'>, number>> = {
  'safetensors-f32': 0.0001,
  'safetensors-f16': 0.005,
  'safetensors-bf16': 0.05,
  'bnb-4bit': 0.5,
  'gguf-f32': 0.0001,
  'gguf-f16': 0.005,
  'gguf-q8_0': 0.05,
  'gguf-q4_0': 0.5,
};
