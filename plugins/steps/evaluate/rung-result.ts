import { z } from 'zod';
import { modelRefSchema } from '../../../schemas/common/model-ref.ts';
import type { StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import { artifactRefSchema } from '../../../schemas/common/artifact-ref.ts';
import {
  diagnosticSchema,
  rungOutputSchema,
  scoreSchema,
  skippedRecipeSchema,
  trainingOfSchema,
} from '../../../schemas/outcome/candidate.ts';
import { recipeSchema } from '../../../schemas/outcome/recipe.ts';
import { rungIdSchema } from '../../../schemas/spec/flowchart.ts';
import { recipeName } from '../llm/recipe-name.ts';

const withSchema = z.strictObject({
  rung: rungIdSchema,
  model: modelRefSchema,
  /** Candidates compared on dev in all, hyper-parameter trials included. */
  tried: z.int().min(1),
  recipes: z.array(recipeSchema).min(1),
  /** One score for each recipe. */
  scores: z.array(z.strictObject({ answers: z.json().optional(), score: scoreSchema })),
  adapter: artifactRefSchema.nullable(),
  training: trainingOfSchema.nullable(),
  /** What other steps found out, a list from each; it is about every candidate of the rung. */
  diagnostics: z.array(z.array(diagnosticSchema)),
  skipped: z.array(skippedRecipeSchema),
});

type With = z.infer<typeof withSchema>;
type Output = z.infer<typeof rungOutputSchema>;

function candidateId(rung: string, recipe: With['recipes'][number]): string {
  return [rung, recipeName(recipe)].filter((part) => part !== '').join('-');
}

/** The last node of every rung: its candidates, best on dev first. */
export const rungResult: StepKindV1<With, Output> = {
  specificationVersion: 'v1',
  kind: 'rung.result@1',
  title: 'Candidates of the rung',
  resource: 'cpu',
  retry: 'readOnly',
  cacheable: true,
  startToCloseTimeoutMs: 60_000,
  heartbeatTimeoutMs: 10_000,
  withSchema,
  outputSchema: rungOutputSchema,
  names: { 'model.provider': 'providers' },
  summarize: (input) => `candidates of ${JSON.stringify(input['rung'])}`,

  doRun: async ({ recipes, scores, tried, skipped, ...input }) => {
    if (recipes.length !== scores.length) {
      throw new EscadaFailure({
        code: 'INVALID_SPEC',
        message: `rung.result: ${recipes.length} recipes, ${scores.length} scores.`,
      });
    }
    const { rung, model, adapter, training } = input;
    const diagnostics = input.diagnostics.flat();
    const candidates = recipes.flatMap((recipe, index) => {
      const dev = scores[index]?.score;
      const id = candidateId(rung, recipe);
      return dev === undefined ? [] : [{ id, rung, model, adapter, recipe, diagnostics, dev, training }];
    });
    // A stable sort: of equals the earlier recipe, which is the simpler one, stays first.
    candidates.sort((a, b) => b.dev.value - a.dev.value);
    return { candidates, tried, skipped };
  },
};
