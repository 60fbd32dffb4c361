import { z } from 'zod';
import type { RungContext, RungV1 } from '../sdk/contracts/rung.ts';
import type { PipelineNode, PipelineSpecInput } from '../../schemas/spec/pipeline-spec.ts';
import { nameTextSchema } from '../../schemas/common/texts.ts';
import { loraConfigSchema } from '../../schemas/spec/lora-config.ts';
import { literal } from '../../schemas/plan/references.ts';
import { addWork, answerAndScore, answerWork, recipeOf, resultNode } from './nodes.ts';

const optionsSchema = z.strictObject({
  trainer: nameTextSchema.default('nf4-lora'),
  /** At most two, tried on a third of the rows; the lower dev loss wins. */
  learningRates: z.array(z.number().positive().max(1)).min(1).max(2).default([1e-3, 2e-3]),
  config: loraConfigSchema.omit({ learningRate: true, seed: true }).prefault({}),
});

type Options = z.infer<typeof optionsSchema>;

/** Fewer rows than this teach an adapter little more than the prompt can. */
const FEWEST_ROWS = 32;

/** Share of the training rows on which learning rates are tried. */
const TRIAL_SHARE = 3;

/** Nodes that choose the learning rate; none when there is nothing to choose. */
function trialNodes(context: RungContext): PipelineNode[] {
  const { spec } = context;
  const { trainer, learningRates, config } = context.options as Options;
  if (learningRates.length < 2) return [];
  const recipe = recipeOf(spec) as never;
  const settings = { ...config, targetModules: literal(config.targetModules) };
  const train = {
    trainer: literal(trainer),
    model: literal(spec.model),
    recipe,
    rows: '${inputs.train}',
    rowsLimit: Math.ceil(spec.data.sizes.train / TRIAL_SHARE),
    // A trial is over too soon to have habits.
    config: { ...settings, learningRate: '${item}', seed: spec.seed, sampleRows: 0 } as never,
  };
  const loss = {
    model: train.model,
    recipe,
    adapter: '${nodes.train.output.adapter}',
    rows: '${inputs.dev}',
  };
  return [
    {
      id: 'trials',
      form: 'map',
      over: learningRates,
      concurrency: 1,
      after: [],
      body: [
        { id: 'train', form: 'step', uses: 'train.adapter@1', with: train, after: [] },
        { id: 'loss', form: 'step', uses: 'score.answer-loss@1', with: loss, after: [] },
      ],
    },
    {
      id: 'pick',
      form: 'step',
      uses: 'select.lowest@1',
      with: { choices: learningRates, outputs: '${nodes.trials.output}', node: 'loss', field: 'lossNats' },
      after: [],
    },
  ];
}

function toPlan(context: RungContext): PipelineSpecInput {
  const { spec } = context;
  const { trainer, learningRates, config } = context.options as Options;
  const learningRate = learningRates.length < 2 ? (learningRates[0] ?? 1e-3) : '${nodes.pick.output.choice}';
  const recipe = recipeOf(spec);
  const settings = { ...config, targetModules: literal(config.targetModules) };
  return {
    name: 'peft',
    nodes: [
      ...trialNodes(context),
      {
        id: 'train',
        form: 'step',
        uses: 'train.adapter@1',
        with: {
          trainer: literal(trainer),
          model: literal(spec.model),
          recipe: recipe as never,
          rows: '${inputs.train}',
          rowsLimit: null,
          samples: '${inputs.dev}',
          config: { ...settings, learningRate, seed: spec.seed } as never,
        },
      },
      ...answerAndScore({ spec, recipe, adapter: '${nodes.train.output.adapter}' }),
      resultNode({
        rung: 'peft',
        tried: learningRates.length,
        recipes: [recipe],
        scores: [{ score: '${nodes.score.output}' }],
        adapter: '${nodes.train.output.adapter}',
        training: '${nodes.train.output.training}',
      }),
    ],
  };
}

/** QLoRA: adapters on the quantized model. */
export const peftRung: RungV1 = {
  specificationVersion: 'v1',
  id: 'peft',
  title: 'PEFT (QLoRA)',
  costRank: 1,
  optionsSchema,
  names: { trainer: 'trainers' },
  eligibility: (profile, { spec }) => {
    if (!profile.tuningAllowed)
      return { eligible: false, reason: 'The profile does not allow tuning weights.' };
    const { train } = spec.data.sizes;
    if (train < FEWEST_ROWS) {
      return {
        eligible: false,
        reason: `${train} training rows are too few for tuning; at least ${FEWEST_ROWS} are needed.`,
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
