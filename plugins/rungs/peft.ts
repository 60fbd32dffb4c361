import { z } from 'zod';
import type { RungContext, RungV1 } from '../sdk/contracts/rung.ts';
import type { PipelineNode, PipelineSpecInput } from '../../schemas/spec/pipeline-spec.ts';
import { nameTextSchema } from '../../schemas/common/texts.ts';
import { loraConfigSchema } from '../../schemas/spec/lora-config.ts';
import { literal } from '../../schemas/plan/references.ts';
import { outputRef, planMap, planStep, ref, type Ref } from '../sdk/plan-values.ts';
import { addWork, answerAndScore, answerWork, recipeOf, resultNode } from '../sdk/rung-plan.ts';

const optionsSchema = z.strictObject({
  trainer: nameTextSchema,
  /** At most two, tried on a third of the rows; the lower dev loss wins. */
  learningRates: z.array(z.number().positive().max(1)).min(1).max(2).default([1e-3, 2e-3]),
  config: loraConfigSchema.omit({ learningRate: true, seed: true }).prefault({}),
});

type Options = z.infer<typeof optionsSchema>;

/** Fewer rows than this teach an adapter little more than the prompt can. */
const MIN_ROWS = 32;

/** Share of the training rows on which learning rates are tried. */
const TRIAL_SHARE = 3;

/** Options of a training step; the user's names stay as they are. */
function training({ spec, options }: RungContext, learningRate: number | Ref) {
  const { trainer, config } = options as Options;
  return {
    trainer: literal(trainer),
    model: literal(spec.model),
    recipe: recipeOf(spec),
    rows: ref('inputs.train'),
    config: { ...config, targetModules: literal(config.targetModules), learningRate, seed: spec.seed },
  };
}

/** Nodes that choose the learning rate; none when there is nothing to choose. */
function trialNodes(context: RungContext): PipelineNode[] {
  const { spec } = context;
  const { learningRates } = context.options as Options;
  if (learningRates.length < 2) return [];
  const trial = training(context, ref('item'));
  const { model, recipe } = trial;
  const adapter = outputRef('train', 'adapter');
  return [
    planMap('trials', learningRates, [
      planStep('train', 'train.adapter@1', {
        ...trial,
        rowsLimit: Math.ceil(spec.data.sizes.train / TRIAL_SHARE),
        // A trial is over too soon to have habits.
        config: { ...trial.config, sampleRows: 0 },
      }),
      planStep('loss', 'score.answer-loss@1', { model, recipe, adapter, rows: ref('inputs.dev') }),
    ]),
    planStep('pick', 'select.lowest@1', {
      choices: learningRates,
      outputs: outputRef('trials'),
      node: 'loss',
      field: 'lossNats',
    }),
  ];
}

function toPlan(context: RungContext): PipelineSpecInput {
  const { spec } = context;
  const { learningRates } = context.options as Options;
  const learningRate = learningRates.length < 2 ? (learningRates[0] ?? 1e-3) : outputRef('pick', 'choice');
  const recipe = recipeOf(spec);
  const adapter = outputRef('train', 'adapter');
  return {
    name: 'peft',
    nodes: [
      ...trialNodes(context),
      planStep('train', 'train.adapter@1', {
        ...training(context, learningRate),
        rowsLimit: null,
        samples: ref('inputs.dev'),
      }),
      ...answerAndScore({ spec, recipe, adapter }),
      resultNode({
        spec,
        rung: 'peft',
        tried: learningRates.length,
        recipes: [recipe],
        scores: [{ score: outputRef('score') }],
        adapter,
        training: { artifact: outputRef('train', 'training'), usage: outputRef('train', 'usage') },
      }),
    ],
  };
}

/** QLoRA: adapters on the quantized model. */
export const peftRung: RungV1 = {
  specificationVersion: 'v1',
  id: 'peft',
  title: 'Parameter-efficient fine-tuning (QLoRA)',
  place: { order: 300 },
  optionsSchema,
  names: { trainer: 'trainers' },
  eligibility: (profile, { spec, model, options }) => {
    if (!profile.tuningAllowed)
      return { eligible: false, reason: 'The profile does not allow tuning weights.' };
    if (!model.locateWeights)
      return { eligible: false, reason: "The model's weights are not available to trainers." };
    if (!model.score && (options as Options).learningRates.length > 1)
      return {
        eligible: false,
        reason:
          'The model cannot score answers, by which learning rates are compared: give one learning rate.',
      };
    const { train } = spec.data.sizes;
    if (train < MIN_ROWS) {
      return {
        eligible: false,
        reason: `${train} training rows are too few for tuning; at least ${MIN_ROWS} are needed.`,
      };
    }
    const why = profile.customToneOrFormat
      ? 'a tone or format of its own is what tuning teaches'
      : 'rows are labelled';
    return { eligible: true, reason: `${train} training rows, and ${why}.` };
  },
  estimate: ({ spec, options }) => {
    const { learningRates, config } = options as Options;
    const { sizes } = spec.data;
    const { maxPromptTokens, maxAnswerTokens } = spec.task;
    const rowTokens = maxPromptTokens + maxAnswerTokens;
    const trials = learningRates.length < 2 ? 0 : learningRates.length;
    const epochs = config.numTrainEpochs * (1 + trials / TRIAL_SHARE);
    const answers = { rows: sizes.dev, promptTokens: maxPromptTokens, completionTokens: maxAnswerTokens };
    return addWork([
      {
        prompt: trials * sizes.dev * rowTokens,
        generate: 0,
        train: Math.ceil(sizes.train * rowTokens * epochs),
      },
      answerWork(answers),
    ]);
  },
  toPlan,
};
