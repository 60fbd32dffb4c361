import { z } from 'zod';
import { artifactRefSchema } from '../common/artifact-ref.ts';
import { levelSchema, resamplesSchema, seedSchema } from '../common/limits.ts';
import { modelChoiceSchema, type ModelRef } from '../common/model-ref.ts';
import { pipelineSpecSchema } from './pipeline-spec.ts';
import { atMostMembers, nameTextSchema, optionsSchema, pathTextSchema } from '../common/texts.ts';
import { taskSchema } from './task.ts';
import { flowchartSchema, rungIdSchema } from './flowchart.ts';
import { profileSchema } from './profile.ts';

/** Formats of data files. */
export const dataFormatSchema = z.enum(['csv', 'tsv', 'jsonl', 'parquet']);

/** A file under the data roots, or bytes already in the artifact store. */
export const dataSourceSchema = z.union([
  z.strictObject({
    /** File, relative to the spec file or to a data root. */
    path: pathTextSchema,
    /** Format of the file; absent: by the name of the file. */
    format: dataFormatSchema.optional(),
  }),
  z.strictObject({
    /** Bytes in the artifact store. */
    artifact: artifactRefSchema,
    /** Format of the bytes. */
    format: dataFormatSchema,
    /** The file it was made from, as its owner wrote it: messages name it. */
    name: pathTextSchema.optional(),
  }),
]);

/** A metric by name, with its options. */
export const metricChoiceSchema = z.strictObject({
  /** Name of the metric. */
  id: nameTextSchema,
  /** Options of the metric; each metric checks its own. */
  with: optionsSchema.default({}),
});

/** What a user writes to have a model adapted. Sizes in rows, lengths in tokens of the model's own tokenizer. */
export const adaptationSpecSchema = z.strictObject({
  /** Version of the format of this spec. */
  specVersion: z.literal(1).default(1),
  /** Name of the task: lower-case letters, digits and hyphens. It is part of the workflow id. */
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,59}$/),
  /** What the model is asked to do. */
  task: taskSchema,
  /** Rows to adapt the model to. */
  data: z.strictObject({
    /** Table with one example a row. */
    source: dataSourceSchema,
    /** Which column is what. */
    columns: z.strictObject({
      /** Column with what the model is given. */
      input: nameTextSchema,
      /** Column with what it should answer. */
      output: nameTextSchema,
      /** Rows with equal values stay in one split. */
      group: nameTextSchema.optional(),
      /** What kind of row it is: steps may sample or balance by it. */
      category: nameTextSchema.optional(),
    }),
    /** Texts to look answers up in; each row of the file is one document. */
    documents: z
      .strictObject({
        /** Table with one document a row. */
        source: dataSourceSchema,
        /** Which column is what. */
        columns: z.strictObject({
          /** Column with the text. */
          text: nameTextSchema,
          /** Column with a title that is put before the text. */
          title: nameTextSchema.optional(),
        }),
      })
      .optional(),
    /** Rows of each split. */
    sizes: z
      .strictObject({
        /** Rows that candidates are built from. */
        train: z.int().min(8).max(1_000_000).default(240),
        /** Rows that candidates are chosen on. */
        dev: z.int().min(8).max(10_000).default(32),
        /** Rows that the finalists answer once. */
        test: z.int().min(8).max(10_000).default(48),
      })
      .prefault({}),
    /** A named pipeline of a plugin, or one of your own. It must end in a node `split`. */
    curation: z.union([nameTextSchema, pipelineSpecSchema]).default('standard'),
  }),
  /** Model to adapt. */
  /** Model to adapt; what is absent comes from the configuration's defaults. */
  model: modelChoiceSchema.prefault({}),
  /** How answers are scored, 0 to 1. */
  metrics: z
    .strictObject({
      /** Metric that decides. */
      primary: metricChoiceSchema.default({ id: 'chrf', with: {} }),
      /** Metrics that are reported only. */
      secondary: z.array(metricChoiceSchema).max(8).default([]),
    })
    .prefault({}),
  /** Score of the primary metric (0 to 1) at which the ladder stops. */
  target: z.number().min(0).max(1),
  /** Hard limits of the run; time that it waits for an approval does not count. */
  budget: z.strictObject({
    /** Seconds. */
    seconds: z.int().min(1).max(31_536_000),
    /** Tokens read, generated and trained on, in all; cached results cost nothing. */
    tokens: z.int().min(1).max(1_000_000_000_000).optional(),
  }),
  /** Human approval gates. */
  approvals: z
    .strictObject({
      /** Rungs that run only after approval. */
      rungs: z.array(rungIdSchema).max(20).default([]),
      /** Whether the winner needs approval before it counts as released. */
      release: z.boolean().default(false),
      /** Without an answer in this time: rejected. Absent: the run waits. */
      timeoutSeconds: z.int().min(1).max(31_536_000).optional(),
    })
    .prefault({}),
  /** What the task demands of a solution. */
  profile: profileSchema.prefault({}),
  /** Options of single rungs, by rung id; each rung checks its own. */
  rungs: atMostMembers(z.record(z.string().max(200), optionsSchema), 40).default({}),
  /** Your own decision graph; the default is the flowchart named `standard`. */
  flowchart: flowchartSchema.optional(),
  /** How intervals and comparisons are computed. */
  statistics: z
    .strictObject({
      /** Confidence level of intervals. */
      level: levelSchema.default(0.95),
      /** Bootstrap resamples. */
      resamples: resamplesSchema.default(2000),
      /** A cheaper candidate wins if it is not worse than the best by more than this. */
      nonInferiorityMargin: z.number().min(0).max(1).default(0.02),
    })
    .prefault({}),
  /** Seed of split, data order, choice of examples and training. */
  seed: seedSchema.default(1),
});

/** A spec that the schema has checked: what it leaves to the plugin list is still open. */
export type ParsedAdaptationSpec = z.infer<typeof adaptationSpecSchema>;
/** A spec in a plan: its model complete, with every default of its provider. */
export type AdaptationSpec = Omit<ParsedAdaptationSpec, 'model'> & { readonly model: ModelRef };
export type AdaptationSpecInput = z.input<typeof adaptationSpecSchema>;
export type MetricChoice = z.infer<typeof metricChoiceSchema>;
export type DataSource = z.infer<typeof dataSourceSchema>;
