/** The ways of training that are killed: what differs in the state they have to restore. */
import { FULL_CONFIG, TRAIN_CONFIG } from '../plugins/nf4-lora/support.ts';
import type { Variant } from './resume-trials.ts';

const STEPS = { ...TRAIN_CONFIG, maxSteps: 40 } as const;

/** On the tiny checkpoint a step takes milliseconds, so it has more rows and every variant. */
export function resumeVariants(model: string): Variant[] {
  const small = { ...STEPS, learningRate: 1e-3, perDeviceTrainBatchSize: 2, saveSteps: 10 };
  if (model === 'real') return [{ name: 'qlora', weightFormat: 'nf4', config: small }];
  const config = { ...STEPS, perDeviceTrainBatchSize: 16 };
  return [
    { name: 'qlora', weightFormat: 'nf4', config },
    {
      name: 'dropout-accumulation',
      weightFormat: 'nf4',
      config: { ...config, loraDropout: 0.1, gradientAccumulationSteps: 2, perDeviceTrainBatchSize: 8 },
    },
    { name: 'adamw-8bit', weightFormat: 'nf4', config: { ...config, optim: 'adamw_8bit' } },
    { name: 'sixteen-bits', weightFormat: 'nf4', config: { ...config, bf16: true } },
    {
      name: 'packing',
      weightFormat: 'f32',
      config: { ...config, packing: true, perDeviceTrainBatchSize: 4 },
    },
    {
      name: 'full',
      weightFormat: 'f32',
      config: { ...FULL_CONFIG, maxSteps: STEPS.maxSteps, perDeviceTrainBatchSize: 16 },
    },
  ];
}
