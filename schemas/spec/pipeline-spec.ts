import { z } from 'zod';
import { MAX_MAP_ITEMS, MAX_PLAN_STEPS } from '../plan/constants.ts';
import { tooManySteps } from '../plan/plan-size.ts';
import { optionsSchema } from '../common/texts.ts';

/** Node ids become activity ids and folder names. */
export const nodeIdSchema = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/);

/** A step kind with its major version, for instance `curate.exact-dedupe@1`. */
export const stepKindNameSchema = z.string().regex(/^[a-z][a-z0-9.-]{0,60}@[1-9][0-9]*$/);

/**
 * Values may hold references: a string that is exactly `${inputs.x}`, `${item}`, `${item.x}` or `${nodes.<id>.output.x}`
 * is replaced by the value it names. There is no expression language. A value inside `{"$literal": …}` is taken as it is.
 */
const jsonObjectSchema = optionsSchema;

/** Most nodes of a pipeline, and of the body of a map. */
const [MAX_NODES, MAX_BODY_STEPS] = [200, 50];

const afterSchema = z.array(nodeIdSchema).max(MAX_NODES).default([]);

/** One call of a step kind. */
export const stepNodeSchema = z.strictObject({
  id: nodeIdSchema,
  form: z.literal('step'),
  uses: stepKindNameSchema,
  with: jsonObjectSchema.default({}),
  after: afterSchema,
});

/** Runs `body` once for each item of a list; its output is the list of the bodies' outputs, by node id. */
export const mapNodeSchema = z.strictObject({
  id: nodeIdSchema,
  form: z.literal('map'),
  over: z.union([
    z.array(z.json()).max(MAX_MAP_ITEMS),
    z
      .string()
      .max(400)
      .regex(/^\$\{[^}]+\}$/),
  ]),
  concurrency: z.int().min(1).max(8).default(1),
  body: z.array(stepNodeSchema).min(1).max(MAX_BODY_STEPS),
  after: afterSchema,
});

/** A human approval gate on `subject`; its output is the record of the answer. A rejection fails the pipeline. */
export const approvalNodeSchema = z.strictObject({
  id: nodeIdSchema,
  form: z.literal('approval'),
  title: z.string().min(1).max(120),
  subject: z.json(),
  /** Without an answer in this time the pipeline fails; without this, it waits. */
  timeoutSeconds: z.int().min(1).max(31_536_000).optional(),
  after: afterSchema,
});

export const pipelineNodeSchema = z.discriminatedUnion('form', [
  stepNodeSchema,
  mapNodeSchema,
  approvalNodeSchema,
]);

/** A user-written graph of steps. Nodes start when the nodes they refer to (or name in `after`) have finished. */
export const pipelineSpecSchema = z.strictObject({
  specVersion: z.literal(1).default(1),
  name: z.string().min(1).max(80),
  inputs: jsonObjectSchema.default({}),
  nodes: z
    .array(pipelineNodeSchema)
    .min(1)
    .max(MAX_NODES)
    .superRefine((nodes, context) => {
      const message = tooManySteps(nodes, MAX_PLAN_STEPS);
      if (message !== null) context.addIssue({ code: 'custom', message });
    }),
});

export type StepNode = z.infer<typeof stepNodeSchema>;
export type MapNode = z.infer<typeof mapNodeSchema>;
export type ApprovalNode = z.infer<typeof approvalNodeSchema>;
export type PipelineNode = z.infer<typeof pipelineNodeSchema>;
export type PipelineSpec = z.infer<typeof pipelineSpecSchema>;
export type PipelineSpecInput = z.input<typeof pipelineSpecSchema>;
