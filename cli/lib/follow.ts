import { approvalOptions } from './approval-answer.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EscadaClient } from '../../client.ts';
import type { AdaptationOutcome, DecisionRecord, Progress } from '../../schemas/outcome/decision.ts';
import type { JsonObject } from '../../schemas/common/json.ts';
import { pendingSteps, type PendingStep } from './pending.ts';
import type { StatusLine } from './terminal.ts';

const POLL_MS = 1000;
/** Lines about a long step on something that is not a terminal. */
const LINE_EVERY_MS = 15_000;

/** Waits for a run while showing what it does. Throws the run's failure. */
export async function follow(
  client: EscadaClient,
  workflowId: string,
  status: StatusLine,
): Promise<AdaptationOutcome> {
  let over = false;
  const result = client.result(workflowId).finally(() => (over = true));
  // Looked at below; without this a failure during a sleep would count as unhandled.
  result.catch(() => undefined);
  const view = new ProgressView(status);
  while (!over) {
    await view.show(client, workflowId);
    await Promise.race([sleep(POLL_MS), result.catch(() => undefined)]);
  }
  status.clear();
  return await result;
}

class ProgressView {
  readonly #status: StatusLine;
  #finished = 0;
  #decided = 0;
  #lineAtMs = 0;
  readonly #asked = new Set<string>();

  constructor(status: StatusLine) {
    this.#status = status;
  }

  async show(client: EscadaClient, workflowId: string): Promise<void> {
    // A worker that restarts answers no queries for a moment: that is no reason to stop watching.
    const progress = await client.progress(workflowId).catch(() => null);
    const pending = await pendingSteps(client, workflowId).catch(() => []);
    if (progress !== null) {
      this.#printFinished(progress);
      if (progress.phase === 'ladder' || progress.phase === 'test')
        await this.#printDecisions(client, workflowId);
    }
    this.#printApprovals(progress?.approvals ?? [], workflowId);
    const text = pending.map((step) => describeStep(step)).join(' | ');
    if (text === '') return;
    this.#status.update(`  ${text}`);
    if (!process.stderr.isTTY && Date.now() - this.#lineAtMs > LINE_EVERY_MS) {
      this.#status.line(`  … ${text}`);
      this.#lineAtMs = Date.now();
    }
  }

  #printFinished(progress: Progress): void {
    for (const { node, seconds, cached } of progress.finished.slice(this.#finished)) {
      this.#status.line(
        `  ${cached ? 'cached' : 'done  '} ${node.padEnd(28)} ${seconds.toFixed(1).padStart(6)} s`,
      );
    }
    this.#finished = Math.max(this.#finished, progress.finished.length);
  }

  #printApprovals(approvals: Progress['approvals'], workflowId: string): void {
    for (const approval of approvals) {
      if (this.#asked.has(approval.digest)) continue;
      this.#asked.add(approval.digest);
      this.#status.line(
        `Approval needed: ${approval.title}\n  escada approve ${workflowId} ${approvalOptions(approval)} (or --reject)`,
      );
    }
  }

  async #printDecisions(client: EscadaClient, workflowId: string): Promise<void> {
    const decisions = await client.decisions(workflowId).catch(() => []);
    for (const record of decisions.slice(this.#decided)) this.#status.line(`▸ ${recordText(record)}`);
    this.#decided = Math.max(this.#decided, decisions.length);
  }
}

/** How a rung ended, in a line. */
export function recordText(record: DecisionRecord): string {
  const { rung, reason } = record;
  if (record.outcome === 'failed') return `${rung}: failed. ${reason}`;
  if (record.outcome === 'cut-off') return `${rung}: cut off. ${reason}`;
  const { metric, value, low, high, n } = record;
  const interval = `${low.toFixed(3)}–${high.toFixed(3)}`;
  return `${rung}: ${metric} ${value.toFixed(3)} (${interval}, ${n} dev rows). ${reason}`;
}

/** One running step in a line: loss, speed and time left for training, rows and speed for generation. */
export function describeStep({ id: activityId, kind, attempt, details }: PendingStep): string {
  // Control activities have no id of their own, only a number.
  const id = /^\d+$/.test(activityId) ? kind : activityId;
  const again = attempt > 1 ? ` (attempt ${attempt})` : '';
  const number = (name: string) => (typeof details[name] === 'number' ? details[name] : 0);
  if (details['kind'] === 'train') {
    const eta = `${Math.round(number('etaSeconds'))} s left`;
    const speed = `${Math.round(number('tokensPerSecond'))} tokens/s`;
    const loss = details['lossNats'] === null ? 'not finite' : number('lossNats').toFixed(3);
    const line = `step ${number('step')}/${number('totalSteps')}, loss ${loss}, ${speed}, ${eta}`;
    return `${id}${again}: ${line}${describeMemory(details)}${describeWarnings(details)}`;
  }
  if (details['kind'] === 'generate') {
    const speed = `${Math.round(number('tokensPerSecond'))} tokens/s`;
    return `${id}${again}: ${number('done')}/${number('total')} rows, ${speed}`;
  }
  return `${id}${again}`;
}

/** Memory in use, and what was planned, where the trainer reports it. */
function describeMemory({ rssBytes, plannedPeakBytes }: JsonObject): string {
  if (typeof rssBytes !== 'number') return '';
  const megabytes = (bytes: number) => Math.round(bytes / 1e6).toLocaleString('en');
  const planned =
    typeof plannedPeakBytes === 'number' ? ` (planned peak ${megabytes(plannedPeakBytes)})` : '';
  return `, ${megabytes(rssBytes)} MB${planned}`;
}

/** How many warnings there were, and the newest. */
function describeWarnings({ warningCount, warnings }: JsonObject): string {
  if (typeof warningCount !== 'number' || warningCount === 0 || !Array.isArray(warnings)) return '';
  const newest = warnings.at(-1) as { message?: unknown } | undefined;
  const count = warningCount === 1 ? '1 warning' : `${warningCount} warnings`;
  return `, ${count}: ${String(newest?.message)}`;
}
