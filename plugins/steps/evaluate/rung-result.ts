import { z } from 'zod';
import type { StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import { artifactRefSchema } from '../../../schemas/common/artifact-ref.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';
import { promptRecipeSchema, retrievalFactsSchema, skippedSchema } from '../../../schemas/outcome/recipe.ts';
import { recipeName } from '../llm/recipe-name.ts';
import { scoreSchema } from './score-predictions.ts';

const withSchema = z.strictObject({
  rung: z.string(),
  /** Candidates compared on dev in all, hyper-parameter trials included. */
  tried: z.int().min(1),
  recipes: z.array(promptRecipeSchema).min(1),
  /** One score for each recipe. */
  scores: z.array(z.strictObject({ answers: z.json().optional(), score: scoreSchema })),
  adapter: artifactRefSchema.nullable(),
  training: artifactRefSchema.nullable(),
  retrieval: retrievalFactsSchema.optional(),
  skipped: z.array(skippedSchema).optional(),
});

const candidateSchema = z.strictObject({
  id: z.string(),
  rung: z.string(),
  recipe: promptRecipeSchema,
  adapter: artifactRefSchema.nullable(),
  training: artifactRefSchema.nullable(),
  dev: scoreSchema,
});
const outputSchema = z.strictObject({
  candidates: z.array(candidateSchema),
  tried: z.int(),
  retrieval: retrievalFactsSchema.optional(),
  skipped: z.array(skippedSchema).optional(),
});

type With = z.infer<typeof withSchema>;

function candidateId(rung: string, recipe: z.infer<typeof promptRecipeSchema>): string {
  return [rung, recipeName(recipe)].filter((part) => part !== '').join('-');
}

/** The last node of every rung: its candidates, best on dev first. */
export const rungResult: StepKindV1<With, JsonObject> = {
  specificationVersion: 'v1',
  kind: 'rung.result@1',
  title: 'Candidates of the rung',
  resource: 'cpu',
  retry: 'readOnly',
  cacheable: true,
  startToCloseTimeoutMs: 60_000,
  heartbeatTimeoutMs: 10_000,
  withSchema,
  outputSchema: outputSchema,
  summarize: (input) => `candidates of ${JSON.stringify(input['rung'])}`,

  doRun: async ({ rung, tried, recipes, scores, adapter, training, retrieval, skipped = [] }) => {
    if (recipes.length !== scores.length) {
      throw new EscadaFailure({
        code: 'INVALID_SPEC',
        message: `rung.result: ${recipes.length} recipes, ${scores.length} scores.`,
      });
    }
    const candidates = recipes.flatMap((recipe, index) => {
      const dev = scores[index]?.score;
      return dev === undefined
        ? []
        : [{ id: candidateId(rung, recipe), rung, recipe, adapter, training, dev }];
    });
    // A stable sort: of equals the earlier recipe, which is the simpler one, stays first.
    candidates.sort((a, b) => b.dev.value - a.dev.value);
    return {
      candidates,
      tried,
      ...(retrieval === undefined ? {} : { retrieval }),
      ...(skipped.length === 0 ? {} : { skipped }),
    };
  },
};
