import { z } from 'zod';
import { atMostMembers } from '../common/texts.ts';

/** Id of a rung; `+` joins what a hybrid combines: `rag+peft`. */
export const rungIdSchema = z
  .string()
  .max(40)
  .regex(/^[a-z][a-z0-9+-]*$/);

/** Facts hold the ids of rungs: `rungs.rag+peft.low`. */
const factNameSchema = z.string().regex(/^[a-z][A-Za-z0-9.+-]{0,99}$/);

/** A fact's value as comparisons see it. */
export const factValueSchema = z.union([z.number(), z.boolean(), z.string().max(200)]);

/** One comparison over named facts. */
export const comparisonSchema = z.strictObject({
  /** Name of the fact, such as `best.low`, `rungs.rag.eligible`, `budget.secondsLeft`. */
  fact: factNameSchema,
  /** Comparison. */
  op: z.enum(['>=', '>', '<=', '<', '==', '!=']),
  /** Value, or another fact. */
  value: z.union([
    factValueSchema,
    z.strictObject({
      /** Name of the other fact. */
      fact: factNameSchema,
    }),
  ]),
});

/** Longest name of a node: that of a rung, and what is asked about it. */
export const MAX_NODE_NAME_CHARS = 60;

const nodeNameSchema = z
  .string()
  .max(MAX_NODE_NAME_CHARS)
  .regex(/^[a-z][a-z0-9+-]*$/);

/** A question: all comparisons hold → `yes`, else `no`. */
export const askNodeSchema = z.strictObject({
  /** Question over facts. */
  form: z.literal('ask'),
  /** Text in report and dashboard. */
  title: z.string().min(1).max(120),
  /** Comparisons that all hold for `yes`. */
  all: z.array(comparisonSchema).min(1).max(32),
  /** Node that follows when they hold. */
  yes: nodeNameSchema,
  /** Node that follows otherwise. */
  no: nodeNameSchema,
});

/** A rung to run. */
export const tryNodeSchema = z.strictObject({
  /** Runs a rung. */
  form: z.literal('try'),
  /** Text in report and dashboard. */
  title: z.string().min(1).max(120),
  /** Rung to run. */
  rung: rungIdSchema,
  /** Node that follows. */
  next: nodeNameSchema,
});

/** A human approval gate. The subject is everything measured so far and the rung that comes next. */
export const approveNodeSchema = z.strictObject({
  /** Human approval gate. */
  form: z.literal('approve'),
  /** Question that is shown. */
  title: z.string().min(1).max(120),
  /** Node that follows an approval. */
  next: nodeNameSchema,
  /** Node that follows a rejection. */
  rejected: nodeNameSchema,
  /** Without an answer in this time: rejected. */
  timeoutSeconds: z.int().min(1).max(31_536_000).optional(),
});

/** How a flowchart can end. */
export const VERDICTS = ['target-met', 'target-not-met', 'budget-exhausted'] as const;

/** The end of the ladder. */
export const endNodeSchema = z.strictObject({
  /** End of the ladder. */
  form: z.literal('end'),
  /** Text in report and dashboard. */
  title: z.string().min(1).max(120),
  /** Verdict on dev; the test rows confirm it or not. */
  verdict: z.enum(VERDICTS),
});

export const flowchartNodeSchema = z.discriminatedUnion('form', [
  askNodeSchema,
  tryNodeSchema,
  approveNodeSchema,
  endNodeSchema,
]);

/** Most nodes of a decision graph. */
export const MAX_FLOWCHART_NODES = 200;

/** The decision graph of a ladder, as data. */
export const flowchartSchema = z.strictObject({
  /** Name of the flowchart. */
  name: z.string().min(1).max(80),
  /** First node. */
  start: nodeNameSchema,
  /** Nodes by name. */
  nodes: atMostMembers(z.record(nodeNameSchema, flowchartNodeSchema), MAX_FLOWCHART_NODES),
});

export type Comparison = z.infer<typeof comparisonSchema>;
export type FlowchartNode = z.infer<typeof flowchartNodeSchema>;
export type Flowchart = z.infer<typeof flowchartSchema>;
export type FactValue = z.infer<typeof factValueSchema>;
export type Facts = { readonly [name: string]: FactValue };
export type Verdict = (typeof VERDICTS)[number];
