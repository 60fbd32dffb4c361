import type { EscadaClient } from '../../client.ts';
import { EscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import type { AdaptationOutcome } from '../../schemas/outcome/decision.ts';

/** The outcome of a finished adaptation. Throws `RUN_NOT_FOUND` for a run that has no report. */
export async function outcomeOf(client: EscadaClient, run: string): Promise<AdaptationOutcome> {
  const { status, type } = await client.describe(run);
  const without = (why: string) =>
    new EscadaFailure({ code: 'RUN_NOT_FOUND', message: `Run ${run} ${why}: it has no report.` });
  if (type !== 'adaptModel') throw without(`is a ${type}`);
  if (status.name !== 'COMPLETED') throw without(`is ${status.name}`);
  return await client.handle(run).result();
}

/** `OUTPUT_NOT_WRITABLE` when something could not be written where the user wanted it. */
export function notWritable(what: string, path: string, cause: unknown): EscadaFailure {
  const why = cause instanceof Error ? cause.message : String(cause);
  const message = `${what} cannot be written to ${path}: ${why}`;
  return new EscadaFailure({ code: 'OUTPUT_NOT_WRITABLE', message, fields: { path }, cause });
}
