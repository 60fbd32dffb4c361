import type { Client } from '@temporalio/client';
import { notFound } from './failures.ts';

/** Queries need a worker; without one they would wait for ever. */
const QUERY_DEADLINE_MS = 10_000;

/** Asks a run; the query's name decides the answer's type `T`. Throws `RUN_NOT_FOUND`. */
export async function queryRun<T>(temporal: Client, workflowId: string, query: string): Promise<T> {
  try {
    return await temporal.withDeadline(Date.now() + QUERY_DEADLINE_MS, () =>
      temporal.workflow.getHandle(workflowId).query<T, []>(query),
    );
  } catch (cause) {
    throw notFound(cause, workflowId);
  }
}
