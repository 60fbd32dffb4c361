import { z } from 'zod';
import { comparisonSchema, rungIdSchema } from '../../schemas/spec/flowchart.ts';
import { EscadaFailure } from '../sdk/contracts/failure.ts';
import type { RungV1 } from '../sdk/contracts/rung.ts';

const titleSchema = z.string().min(1).max(120);

/** What the default flowchart takes from a rung. */
const declaredSchema = z.object({
  id: rungIdSchema,
  title: titleSchema,
  place: z
    .strictObject({
      order: z.number(),
      baseline: z.boolean().optional(),
      conditions: z.array(comparisonSchema).max(16).optional(),
      question: titleSchema.optional(),
      approval: z.boolean().optional(),
    })
    .nullable(),
});

/** Throws `PLUGIN_RUNG_INVALID` for a rung whose id no flowchart could name, or whose place is none. */
export function checkRung({ id, title, place }: Pick<RungV1, 'id' | 'title' | 'place'>, owner: string): void {
  const checked = declaredSchema.safeParse({ id, title, place });
  if (checked.success) return;
  const why = checked.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  throw new EscadaFailure({
    code: 'PLUGIN_RUNG_INVALID',
    message: `Plugin ${owner}, rung "${id}": ${why}. An id has at most 40 characters of a-z, 0-9, "+" and "-", a letter first.`,
    fields: { plugin: owner, rung: id },
  });
}
