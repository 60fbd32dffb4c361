import { rungIdSchema } from '../../schemas/spec/flowchart.ts';
import { EscadaFailure } from '../sdk/contracts/failure.ts';
import type { RungV1 } from '../sdk/contracts/rung.ts';

/** Throws `PLUGIN_RUNG_INVALID` for a rung whose id no flowchart could name. */
export function checkRung({ id }: Pick<RungV1, 'id'>, owner: string): void {
  if (rungIdSchema.safeParse(id).success) return;
  throw new EscadaFailure({
    code: 'PLUGIN_RUNG_INVALID',
    message: `Plugin ${owner}: the rung id "${id}" must be at most 40 characters of a-z, 0-9, "+" and "-", a letter first.`,
    fields: { plugin: owner, rung: id },
  });
}
