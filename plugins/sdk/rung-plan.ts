/** The nodes that plans of rungs are made of, for rungs of every plugin. */
import type { ArtifactRef } from '../../schemas/common/artifact-ref.ts';
import type { ModelRef } from '../../schemas/common/model-ref.ts';
import type { Diagnostic, Score, SkippedRecipe } from '../../schemas/outcome/candidate.ts';
import type { Recipe } from '../../schemas/outcome/recipe.ts';
import type { Usage } from '../../schemas/outcome/usage.ts';
import { literal } from '../../schemas/plan/references.ts';
import type { AdaptationSpec } from '../../schemas/spec/adaptation-spec.ts';
import type { StepNode } from '../../schemas/spec/pipeline-spec.ts';
import type { TokenWork } from './contracts/rung.ts';
import { outputRef, planStep, ref, type Planned, type Ref } from './plan-values.ts';

/** A recipe of which only parts are still to come. */
export type PlannedRecipe = Exclude<Planned<Recipe>, Ref>;

/** What a recipe has beside the task's texts. */
export type RecipeParts = Planned<Pick<Recipe, 'demonstrations' | 'retrieval'>>;

/** A recipe of this task: the same instruction for every arm, its texts as the user wrote them. */
export function recipeOf(
  spec: AdaptationSpec,
  parts: Partial<Exclude<RecipeParts, Ref>> = {},
): PlannedRecipe {
  const { demonstrations = null, retrieval = null } = parts;
  const { system, instruction } = spec.task;
  return { system: literal(system), instruction: literal(instruction), demonstrations, retrieval };
}

interface AnswerAndScore {
  readonly spec: AdaptationSpec;
  /** Default: the model of the spec. */
  readonly model?: ModelRef | Ref;
  readonly recipe: Planned<Recipe>;
  /** Null for the bare model. */
  readonly adapter: Planned<ArtifactRef | null>;
  /** Default: the dev rows. */
  readonly rows?: Ref;
}

/** Two nodes, `answers` and `score`: answer rows with one recipe and score the answers. */
export function answerAndScore({
  spec,
  model = spec.model,
  recipe,
  adapter,
  rows = ref('inputs.dev'),
}: AnswerAndScore): StepNode[] {
  const { statistics, metrics, seed } = spec;
  return [
    planStep('answers', 'generate.answers@1', {
      model: typeof model === 'string' ? model : literal(model),
      recipe,
      adapter,
      rows,
      maxNewTokens: spec.task.maxAnswerTokens,
      seed,
    }),
    planStep('score', 'score.predictions@1', {
      predictions: outputRef('answers', 'predictions'),
      usage: outputRef('answers', 'usage'),
      metrics: literal({ primary: metrics.primary, secondary: metrics.secondary }),
      statistics: { level: statistics.level, resamples: statistics.resamples, seed },
    }),
  ];
}

/** The node `fit`: leaves out the recipes whose prompts do not fit the model's context. Fails when none fits. */
export function fitNode(spec: AdaptationSpec, recipes: readonly Planned<Recipe>[]): StepNode {
  return planStep('fit', 'select.fitting@1', {
    model: literal(spec.model),
    recipes,
    rows: ref('inputs.dev'),
    maxNewTokens: spec.task.maxAnswerTokens,
  });
}

/** Input of the last node of a rung. */
export interface RungResult {
  readonly rung: string;
  readonly spec: AdaptationSpec;
  /** The model that answered; default: the one of the spec. The candidate keeps it, on the test rows too. */
  readonly model?: ModelRef;
  /** Candidates compared on dev in all, hyper-parameter trials included. */
  readonly tried: Planned<number>;
  readonly recipes: Planned<readonly Recipe[]>;
  /** One score for each recipe. */
  readonly scores: Planned<readonly { readonly score: Score }[]>;
  readonly adapter?: Planned<ArtifactRef>;
  readonly training?: Planned<{ readonly artifact: ArtifactRef; readonly usage: Usage }>;
  /** What other steps found out about the candidates, a list from each. */
  readonly diagnostics?: readonly Planned<readonly Diagnostic[]>[];
  /** Recipes that were left out. */
  readonly skipped?: Planned<readonly SkippedRecipe[]>;
}

/** The last node, `result`: what the rung found. */
export function resultNode({ spec, rung, ...found }: RungResult): StepNode {
  return planStep('result', 'rung.result@1', {
    rung,
    model: literal(found.model ?? spec.model),
    tried: found.tried,
    recipes: found.recipes,
    scores: found.scores,
    adapter: found.adapter ?? null,
    training: found.training ?? null,
    diagnostics: found.diagnostics ?? [],
    skipped: found.skipped ?? [],
  });
}

/** The node `result` of a rung with a node `fit` and a map `recipes` over what it leaves. */
export function fittedResult(
  spec: AdaptationSpec,
  rung: string,
  more: Pick<RungResult, 'adapter' | 'training' | 'diagnostics'> = {},
): StepNode {
  return resultNode({
    ...more,
    spec,
    rung,
    tried: outputRef('fit', 'fitting'),
    recipes: outputRef('fit', 'recipes'),
    scores: outputRef('recipes'),
    skipped: outputRef('fit', 'skipped'),
  });
}

/** Tokens of answering `rows` prompts of `promptTokens`. */
export function answerWork(work: {
  readonly rows: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
}): TokenWork {
  return { prompt: work.rows * work.promptTokens, generate: work.rows * work.completionTokens, train: 0 };
}

/** The sum of several pieces of work. */
export function addWork(all: readonly TokenWork[]): TokenWork {
  return {
    prompt: all.reduce((sum, { prompt }) => sum + prompt, 0),
    generate: all.reduce((sum, { generate }) => sum + generate, 0),
    train: all.reduce((sum, { train }) => sum + train, 0),
  };
}
