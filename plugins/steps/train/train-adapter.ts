import { z } from 'zod';
import type { StepContext, StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { trainedAdapterSchema } from '../../../schemas/outcome/train-run.ts';
import { loraConfigSchema } from '../../../schemas/spec/lora-config.ts';
import { runTraining, TRAINING_STEP, trainingInput, trainingOutcome, trainingSalt } from './training-step.ts';

const withSchema = z.strictObject({ ...trainingInput, config: loraConfigSchema });

type With = z.infer<typeof withSchema>;
type Output = z.infer<typeof trainedAdapterSchema>;

async function run(input: With, context: StepContext): Promise<Output> {
  const trainer = context.trainer(input.trainer);
  const ended = await runTraining(input, context, async (asked) => await trainer.doTrain(asked));
  return {
    adapter: await context.store.putFolder(ended.result.adapterPath),
    adapterSha256: ended.result.adapterSha256,
    ...(await trainingOutcome(trainer, ended, context)),
  };
}

/** Trains a LoRA adapter; an attempt resumes from the newest complete checkpoint of the attempts before it. */
export const trainAdapter: StepKindV1<With, Output> = {
  ...TRAINING_STEP,
  kind: 'train.adapter@1',
  title: 'Train an adapter',
  withSchema: withSchema,
  outputSchema: trainedAdapterSchema,
  summarize: (input) => {
    const config = input['config'] as { learningRate?: unknown; r?: unknown } | undefined;
    return `train LoRA r=${JSON.stringify(config?.r)} lr=${JSON.stringify(config?.learningRate)}`;
  },
  doCacheSalt: trainingSalt,
  doRun: run,
};
