import type { z } from 'zod';

/** A JSON Schema (2020-12) as a plain object. */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** What describes options, a step's input or its output: a zod schema, or a JSON Schema for authors who do not use zod. */
export type ValueSchema<T = unknown> = z.ZodType<T> | JsonSchema;
