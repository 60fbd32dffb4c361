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
  /** Name of the node: lower-case letters, digits and hyphens. */
  id: nodeIdSchema,
  /** One call of a step kind. */
  form: z.literal('step'),
  /** Step kind with its major version, such as `curate.exact-dedupe@1`. */
  uses: stepKindNameSchema,
  /** Options of the kind; values may be references such as `${nodes.read.output.dataset}`. */
  with: jsonObjectSchema.default({}),
  /** Nodes that finish first, beside those that it refers to. */
  after: afterSchema,
});

/** Runs `body` once for each item of a list; its output is the list of the bodies' outputs, by node id. */
export const mapNodeSchema = z.strictObject({
  /** Name of the node: lower-case letters, digits and hyphens. */
  id: nodeIdSchema,
  /** Runs `body` once for each item of `over`. */
  form: z.literal('map'),
  /** A list, or a reference to one; `${item}` is the item. */
  over: z.union([
    z.array(z.json()).max(MAX_MAP_ITEMS),
    z
      .string()
      .max(400)
      .regex(/^\$\{[^}]+\}$/),
  ]),
  /** Items at a time. */
  concurrency: z.int().min(1).max(8).default(1),
  /** Steps that run for each item. */
  body: z.array(stepNodeSchema).min(1).max(MAX_BODY_STEPS),
  /** Nodes that finish first, beside those that it refers to. */
  after: afterSchema,
});

/** A human approval gate on `subject`; its output is the record of the answer. A rejection fails the pipeline. */
export const approvalNodeSchema = z.strictObject({
  /** Name of the node: lower-case letters, digits and hyphens. */
  id: nodeIdSchema,
  /** Human approval gate. */
  form: z.literal('approval'),
  /** Question that is shown. */
  title: z.string().min(1).max(120),
  /** What is approved; the answer is bound to its digest. */
  subject: z.json(),
  /** Without an answer in this time the pipeline fails; without this, it waits. */
  timeoutSeconds: z.int().min(1).max(31_536_000).optional(),
  /** Nodes that finish first, beside those that it refers to. */
  after: afterSchema,
});

export const pipelineNodeSchema = z.discriminatedUnion('form', [
  stepNodeSchema,
  mapNodeSchema,
  approvalNodeSchema,
]);

/** A user-written graph of steps. Nodes start when the nodes they refer to (or name in `after`) have finished. */
export const pipelineSpecSchema = z.strictObject({
  /** Version of the format of this spec. */
  specVersion: z.literal(1).default(1),
  /** Name of the pipeline. */
  name: z.string().min(1).max(80),
  /** Values that nodes refer to as `${inputs.x}`. */
  inputs: jsonObjectSchema.default({}),
  /** Nodes; they start when what they refer to has finished. */
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
