import type { TokenWork } from '../sdk/contracts/rung.ts';
import type { AdaptationSpec } from '../../schemas/spec/adaptation-spec.ts';
import type { PromptRecipe } from '../../schemas/outcome/candidate.ts';
import { literal } from '../../schemas/plan/references.ts';
import type { StepNode } from '../../schemas/spec/pipeline-spec.ts';

/** A recipe of this task for a plan: the same instruction for every arm, its texts as the user wrote them. */
export function recipeOf(
  spec: AdaptationSpec,
  shots = 0,
  choose: PromptRecipe['choose'] = 'none',
): PromptRecipe {
  return { system: literal(spec.task.system), instruction: literal(spec.task.instruction), shots, choose };
}

interface AnswerAndScore {
  readonly spec: AdaptationSpec;
  /** A recipe, or the reference to one. */
  readonly recipe: PromptRecipe | string;
  /** Reference to an adapter artifact; null for the bare model. */
  readonly adapter: string | null;
}

/** Two nodes, `answers` and `score`: answer the dev rows and score the answers. */
export function answerAndScore({ spec, recipe, adapter }: AnswerAndScore): StepNode[] {
  return [
    {
      id: 'answers',
      form: 'step',
      uses: 'generate.answers@1',
      with: {
        model: literal(spec.model),
        recipe: recipe as never,
        adapter,
        rows: '${inputs.dev}',
        train: '${inputs.train}',
        maxNewTokens: spec.task.maxAnswerTokens,
        seed: spec.seed,
      },
      after: [],
    },
    {
      id: 'score',
      form: 'step',
      uses: 'score.predictions@1',
      with: {
        predictions: '${nodes.answers.output.predictions}',
        usage: '${nodes.answers.output.usage}',
        metrics: literal({ primary: spec.metrics.primary, secondary: spec.metrics.secondary }),
        statistics: { level: spec.statistics.level, resamples: spec.statistics.resamples, seed: spec.seed },
      },
      after: [],
    },
  ];
}

/** The node `fit`: leaves out the recipes whose prompts do not fit the model's context. Fails when none fits. */
export function fitNode(spec: AdaptationSpec, recipes: readonly PromptRecipe[]): StepNode {
  return {
    id: 'fit',
    form: 'step',
    uses: 'select.fitting@1',
    with: {
      model: literal(spec.model),
      recipes: recipes as never,
      rows: '${inputs.dev}',
      train: '${inputs.train}',
      maxNewTokens: spec.task.maxAnswerTokens,
      seed: spec.seed,
    },
    after: [],
  };
}

/** The node `result` of a rung with a node `fit` and a map `recipes` over what it leaves. */
export function fittedResult(rung: string, more: { readonly retrieval?: string } = {}): StepNode {
  const fit = (field: string): string => `\${nodes.fit.output.${field}}`;
  return resultNode({
    rung,
    tried: fit('fitting'),
    recipes: fit('recipes'),
    scores: '${nodes.recipes.output}',
    skipped: fit('skipped'),
    ...more,
  });
}

/** The last node: what the rung found. */
export function resultNode(options: {
  readonly rung: string;
  readonly tried: number | string;
  readonly recipes: readonly PromptRecipe[] | string;
  readonly scores: string | readonly { readonly score: string }[];
  readonly adapter?: string;
  readonly training?: string;
  /** Reference to the facts about retrieval. */
  readonly retrieval?: string;
  /** Reference to the recipes that were left out. */
  readonly skipped?: string;
}): StepNode {
  return {
    id: 'result',
    form: 'step',
    uses: 'rung.result@1',
    with: {
      rung: options.rung,
      tried: options.tried,
      recipes: options.recipes as never,
      scores: options.scores as never,
      adapter: options.adapter ?? null,
      training: options.training ?? null,
      ...(options.retrieval === undefined ? {} : { retrieval: options.retrieval }),
      ...(options.skipped === undefined ? {} : { skipped: options.skipped }),
    },
    after: [],
  };
}

/** Tokens of answering `rows` prompts of `promptTokens`. */
export function answerWork(work: {
  readonly rows: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
}): TokenWork {
  return { prompt: work.rows * work.promptTokens, generate: work.rows * work.completionTokens, train: 0 };
}

export function addWork(all: readonly TokenWork[]): TokenWork {
  return {
    prompt: all.reduce((sum, { prompt }) => sum + prompt, 0),
    generate: all.reduce((sum, { generate }) => sum + generate, 0),
    train: all.reduce((sum, { train }) => sum + train, 0),
  };
}
