import type { Client } from '@temporalio/client';

/** A run that has not ended: its ids, and every value that its history holds. */
export interface OpenRunOnServer {
  readonly namespace: string;
  readonly workflowId: string;
  readonly firstRunId: string;
  readonly values: readonly unknown[];
}

/** All open runs of a client's namespace, whoever started them. */
export async function listOpenRuns(client: Client): Promise<OpenRunOnServer[]> {
  const { namespace } = client.options;
  const runs: OpenRunOnServer[] = [];
  for await (const { workflowId, runId } of client.workflow.list({ query: `ExecutionStatus = 'Running'` })) {
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    const started = history.events?.[0]?.workflowExecutionStartedEventAttributes;
    const firstRunId = started?.firstExecutionRunId ?? runId;
    runs.push({ namespace, workflowId, firstRunId, values: valuesIn(history) });
  }
  return runs;
}

/** The values of all payloads, wherever they are in a history. Those of other encodings than JSON are left out. */
function valuesIn(part: unknown): unknown[] {
  if (part instanceof Uint8Array) {
    try {
      return [JSON.parse(new TextDecoder().decode(part))];
    } catch {
      return [];
    }
  }
  if (typeof part !== 'object' || part === null) return [];
  return Object.values(part).flatMap(valuesIn);
}
