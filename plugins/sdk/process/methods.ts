/**
 * The conversation with a child process: newline-delimited JSON, one envelope for every protocol, methods by table.
 * `{v, id, method, params}` goes to the child; `{v, id, event}`, `{v, id, result}` or `{v, id, error}` come back.
 */
import { z } from 'zod';

/** Schemas of one method. `event: z.never()` = it has none. */
export interface MethodSchemas {
  readonly params: z.ZodType;
  readonly result: z.ZodType;
  readonly event: z.ZodType;
}

/** Methods by name. Every table has `cancel`, with `target` among its parameters. */
export type MethodTable = Readonly<Record<string, MethodSchemas>>;

export type MethodOf<T extends MethodTable> = keyof T & string;
export type ParamsOf<T extends MethodTable, M extends keyof T> = z.infer<T[M]['params']>;
export type ResultOf<T extends MethodTable, M extends keyof T> = z.infer<T[M]['result']>;
export type EventOf<T extends MethodTable, M extends keyof T> = z.infer<T[M]['event']>;

/** Request number: counts up from 1. */
export const requestIdSchema = z.int().nonnegative();

/** Anything a child may send; `event` and `result` are checked with their method's schema afterwards. */
export function replySchemaOf(version: number) {
  const envelope = { v: z.literal(version), id: requestIdSchema };
  return z.union([
    z.strictObject({ ...envelope, event: z.unknown() }),
    z.strictObject({ ...envelope, result: z.unknown() }),
    z.strictObject({
      ...envelope,
      // Null where the request was too broken to have an id, or the child could not even start.
      id: requestIdSchema.nullable(),
      // `fields`: what a program may want to know of it, such as the row.
      error: z.strictObject({
        code: z.string(),
        message: z.string(),
        fields: z.record(z.string(), z.json()).optional(),
      }),
    }),
  ]);
}

export type ReplySchema = ReturnType<typeof replySchemaOf>;
export type Reply = z.infer<ReplySchema>;
