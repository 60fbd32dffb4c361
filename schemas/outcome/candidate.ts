import { z } from 'zod';
import { modelRefSchema } from '../common/model-ref.ts';
import { artifactRefSchema } from '../common/artifact-ref.ts';
import type { Immutable } from '../common/immutable.ts';
import { rungIdSchema } from '../spec/flowchart.ts';
import { recipeSchema } from './recipe.ts';
import { usageSchema } from './usage.ts';

/** Something measured about a candidate beside its score, such as the recall of its retrieval. */
export const diagnosticSchema = z.strictObject({
  id: z.string().min(1).max(60),
  /** What it is, as the report says it. */
  title: z.string().min(1).max(120),
  /** The figure, where there is one. */
  value: z.number().optional(),
  /** What the figure rests on, by name. */
  details: z.record(z.string().max(60), z.union([z.string().max(400), z.number(), z.boolean()])),
});

/** An estimate with its bootstrap interval. */
export const estimateSchema = z.strictObject({
  value: z.number(),
  low: z.number(),
  high: z.number(),
  /** Rows. */
  n: z.int().nonnegative(),
});

/** A score of one candidate on one split. */
export const scoreSchema = estimateSchema.extend({
  metric: z.string(),
  /** Per-row sufficient statistics of the primary metric (JSON), for paired tests. */
  statistics: artifactRefSchema,
  secondary: z.array(z.strictObject({ metric: z.string(), value: z.number() })),
  /** Rows `{ id, input, reference, prediction }` (JSONL). */
  predictions: artifactRefSchema,
  /** What answering the split used. */
  usage: usageSchema,
});

/** A system that can answer: a model, maybe an adapter, and a recipe. */
export const candidateSchema = z.strictObject({
  id: z.string().min(1),
  rung: rungIdSchema,
  model: modelRefSchema,
  /** Adapter folder in PEFT format; null for the bare model. */
  adapter: artifactRefSchema.nullable(),
  recipe: recipeSchema,
  diagnostics: z.array(diagnosticSchema),
});

/** The training that made a candidate's adapter. */
export const trainingOfSchema = z.strictObject({
  /** Settings and loss curve (JSON). */
  artifact: artifactRefSchema,
  usage: usageSchema,
});

/** A candidate with what was measured on dev. */
export const measuredCandidateSchema = candidateSchema.extend({
  dev: scoreSchema,
  /** Null where nothing was trained. */
  training: trainingOfSchema.nullable(),
});

/** A recipe whose prompts do not fit the model's context. */
export const skippedRecipeSchema = z.strictObject({ name: z.string(), reason: z.string() });

/** What a rung's sub-plan must leave behind: its node `result` outputs this. */
export const rungOutputSchema = z.strictObject({
  /** Every candidate that was scored on dev, best first. */
  candidates: z.array(measuredCandidateSchema),
  /** How many candidates were compared on dev in all (hyper-parameter trials included). */
  tried: z.int().min(1),
  /** Candidates that were left out before anything was asked. */
  skipped: z.array(skippedRecipeSchema),
});

export type Diagnostic = Immutable<z.infer<typeof diagnosticSchema>>;
export type Estimate = Immutable<z.infer<typeof estimateSchema>>;
export type Score = Immutable<z.infer<typeof scoreSchema>>;
export type Candidate = Immutable<z.infer<typeof candidateSchema>>;
export type MeasuredCandidate = Immutable<z.infer<typeof measuredCandidateSchema>>;
export type SkippedRecipe = Immutable<z.infer<typeof skippedRecipeSchema>>;
export type RungOutput = Immutable<z.infer<typeof rungOutputSchema>>;
