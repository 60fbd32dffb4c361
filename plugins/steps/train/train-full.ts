import { z } from 'zod';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import type { StepContext, StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { trainedModelSchema } from '../../../schemas/outcome/train-run.ts';
import { fullConfigSchema } from '../../../schemas/spec/full-config.ts';
import { runTraining, TRAINING_STEP, trainingInput, trainingOutcome, trainingSalt } from './training-step.ts';

const withSchema = z.strictObject({ ...trainingInput, config: fullConfigSchema });

type With = z.infer<typeof withSchema>;
type Output = z.infer<typeof trainedModelSchema>;

async function run(input: With, context: StepContext): Promise<Output> {
  const trainer = context.trainer(input.trainer);
  if (trainer.doTrainFull === undefined) {
    const message = `trainer: "${input.trainer}" trains adapters only. Take another trainer, or config.method "lora".`;
    throw new EscadaFailure({ code: 'INVALID_SPEC', message, fields: { trainer: input.trainer } });
  }
  const trainAll = trainer.doTrainFull.bind(trainer);
  const ended = await runTraining(input, context, trainAll);
  return {
    model: await context.store.putFolder(ended.result.modelPath),
    modelSha256: ended.result.modelSha256,
    ...(await trainingOutcome(trainer, ended, context)),
  };
}

/** Full fine-tuning; an attempt resumes from the newest complete checkpoint of the attempts before it. */
export const trainFull: StepKindV1<With, Output> = {
  ...TRAINING_STEP,
  kind: 'train.full@1',
  title: 'Full fine-tuning',
  withSchema,
  outputSchema: trainedModelSchema,
  summarize: (input) => {
    const config = input['config'] as { learningRate?: unknown } | undefined;
    return `full fine-tuning lr=${JSON.stringify(config?.learningRate)}`;
  },
  doCacheSalt: trainingSalt,
  doRun: run,
};
