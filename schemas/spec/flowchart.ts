import { z } from 'zod';
import { atMostMembers } from '../common/texts.ts';

const factNameSchema = z.string().regex(/^[a-z][A-Za-z0-9.-]{0,79}$/);

/** One comparison over named facts. */
export const comparisonSchema = z.strictObject({
  fact: factNameSchema,
  is: z.enum(['>=', '>', '<=', '<', '==', '!=']),
  than: z.union([z.number(), z.boolean(), z.string().max(200), z.strictObject({ fact: factNameSchema })]),
});

const nodeNameSchema = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/);

/** A question: all comparisons hold → `yes`, else `no`. */
export const askNodeSchema = z.strictObject({
  form: z.literal('ask'),
  title: z.string().min(1).max(120),
  all: z.array(comparisonSchema).min(1).max(32),
  yes: nodeNameSchema,
  no: nodeNameSchema,
});

/** A rung to climb. */
export const tryNodeSchema = z.strictObject({
  form: z.literal('try'),
  title: z.string().min(1).max(120),
  rung: z.string().min(1).max(40),
  next: nodeNameSchema,
});

/** A person's word before going on. What is approved is everything measured so far and the rung that comes next. */
export const approveNodeSchema = z.strictObject({
  form: z.literal('approve'),
  title: z.string().min(1).max(120),
  next: nodeNameSchema,
  rejected: nodeNameSchema,
  /** Without an answer in this time: rejected. */
  timeoutSeconds: z.int().min(1).max(31_536_000).optional(),
});

export const VERDICTS = ['target-met', 'target-not-met', 'budget-exhausted'] as const;

/** The end of the climb. */
export const endNodeSchema = z.strictObject({
  form: z.literal('end'),
  title: z.string().min(1).max(120),
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

/** The decision graph of a climb, as data. */
export const flowchartSchema = z.strictObject({
  name: z.string().min(1).max(80),
  start: nodeNameSchema,
  nodes: atMostMembers(z.record(nodeNameSchema, flowchartNodeSchema), MAX_FLOWCHART_NODES),
});

export type Comparison = z.infer<typeof comparisonSchema>;
export type FlowchartNode = z.infer<typeof flowchartNodeSchema>;
export type Flowchart = z.infer<typeof flowchartSchema>;
/** A fact's value as comparisons see it. */
export type FactValue = number | boolean | string;
export type Facts = { readonly [name: string]: FactValue };
