/** Texts of specs, each with a bound: nothing that a spec holds may be endless. */
import { z } from 'zod';

/** A name: of a column, a model provider, a metric, a file format. */
export const nameTextSchema = z.string().min(1).max(200);

/** A path, or an id that may be one. */
export const pathTextSchema = z.string().min(1).max(4096);

/** An object whose members only JSON bounds; the bound of the whole spec bounds it. */
export const optionsSchema = z.record(z.string().max(200), z.json());

/** A record with at most so many members; the published JSON Schema says the same. */
export function atMostMembers<T extends z.ZodType<object>>(schema: T, most: number) {
  return schema
    .refine((value) => Object.keys(value).length <= most, { message: `at most ${most} entries` })
    .meta({ maxProperties: most });
}
