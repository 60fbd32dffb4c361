import { activityInfo, Context } from '@temporalio/activity';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { ActivityFailure, ApplicationFailure, CancelledFailure, TerminatedFailure } from '@temporalio/common';
import { EscadaFailure } from '../../../plugins/sdk/contracts/failure.ts';
import { translateFailure } from '../../../activities/failures.ts';
import type { ControlActivities } from '../../../activities/control-activities.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';
import type { Approval, ApprovalAnswer } from '../../../schemas/outcome/approval.ts';
import type { StepOrigin, StepResult } from '../../../schemas/plan/pipeline-plan.ts';
import type { History } from '../../whole/support/history.ts';
import { stepUsage } from '../../../activities/step-usage.ts';
import { until } from '../../whole/support/processes.ts';
import { closed, SCRIPTED_CODES, type Behaviour, type StepCall } from './behaviours.ts';

/** What the workers do for one run. */
export interface Script {
  /** By activity id, by step kind, or `*` for every other step. */
  readonly steps?: Readonly<Record<string, Behaviour>>;
  /** Control activities that are not the product's own. */
  readonly control?: Partial<ControlActivities>;
}

/** A call of a step and how it ended; `running` while it has not. */
export interface LoggedCall extends StepCall {
  ended: 'running' | 'answered' | 'failed' | 'cancelled';
}

/** How a run ended that did not complete. */
export interface EndedRun {
  readonly as: 'failed' | 'cancelled' | 'terminated';
  /** Type of the failure: a code of the table of errors; empty when it has none. */
  readonly code: string;
  readonly message: string;
}

const LOOK_MS = 100;
type HistoryEvents = NonNullable<History['events']>;

/** Longest wait for an event of a run. */
const TIMEOUT_MS = 30_000;

/** Why the server fails a Workflow Task although no workflow code did: events that came between (1), a reset (20). */
const HARMLESS_CAUSES = [1, 20];

/** A started run with its script and the calls it made. */
export class StagedRun {
  readonly handle: WorkflowHandle;
  readonly script: Script;
  readonly calls: LoggedCall[] = [];
  /** Most steps that ran at once. */
  mostAtOnce = 0;

  constructor(handle: WorkflowHandle, script: Script) {
    this.handle = handle;
    this.script = script;
  }

  get workflowId(): string {
    return this.handle.workflowId;
  }

  /** Called by the scripted worker, inside an activity. */
  async perform(
    kind: string,
    input: JsonObject,
    { firstRunId }: StepOrigin,
    closing: AbortSignal,
  ): Promise<StepResult> {
    const { activityId, attempt, workflowExecution } = activityInfo();
    const runId = workflowExecution?.runId ?? '';
    const number = this.callsOf(activityId).length + 1;
    const ids = { activityId, kind, runId, firstRunId };
    const call: LoggedCall = { ...ids, input, attempt, number, closing, ended: 'running' };
    this.calls.push(call);
    this.mostAtOnce = Math.max(this.mostAtOnce, this.calls.filter(({ ended }) => ended === 'running').length);
    const { steps = {} } = this.script;
    const behaviour = steps[activityId] ?? steps[kind] ?? steps['*'] ?? unscripted;
    try {
      // Whatever a test that has failed left waiting must not keep the worker from ending.
      const result = await Promise.race([behaviour(call), closed(closing)]);
      call.ended = 'answered';
      const usage = stepUsage(input, result.output);
      return { cached: false, seconds: 0.01, usage, ...result };
    } catch (error) {
      // As the product's own step activity does it.
      const { cancellationSignal } = Context.current();
      call.ended = cancellationSignal.aborted ? 'cancelled' : 'failed';
      throw cancellationSignal.aborted
        ? cancellationSignal.reason
        : translateFailure(error, SCRIPTED_CODES, { attempt });
    }
  }

  /** The runs that called steps, in order: more than one when they continued as new. */
  get runIds(): readonly string[] {
    return [...new Set(this.calls.map(({ runId }) => runId))];
  }

  callsOf(activityId: string): LoggedCall[] {
    return this.calls.filter((one) => one.activityId === activityId);
  }

  /** Waits until a step is called for the `number`th time. */
  async started(activityId: string, number = 1): Promise<LoggedCall> {
    return await until(`call ${number} of ${activityId}`, () => this.callsOf(activityId)[number - 1], {
      timeoutMs: TIMEOUT_MS,
      everyMs: 10,
    });
  }

  /** The result. Throws the run's failure, or that of a Workflow Task that the server would repeat without end. */
  async result<T = unknown>(): Promise<T> {
    const end = await this.#end();
    if ('failure' in end) throw new Error(`${end.failure.as}: ${end.failure.code} ${end.failure.message}`);
    return end.result as T;
  }

  /** How the run failed; throws when it completed. */
  async failure(): Promise<EndedRun> {
    const end = await this.#end();
    if ('failure' in end) return end.failure;
    throw new Error(`completed: ${JSON.stringify(end.result)}`);
  }

  async #end(): Promise<{ readonly result: unknown } | { readonly failure: EndedRun }> {
    const settled = new AbortController();
    try {
      const result: unknown = await Promise.race([this.handle.result(), this.#taskFailure(settled.signal)]);
      return { result };
    } catch (error) {
      if (error instanceof WorkflowFailedError) return { failure: endOf(error.cause) };
      throw error;
    } finally {
      settled.abort();
    }
  }

  async #taskFailure(settled: AbortSignal): Promise<never> {
    const deadlineMs = Date.now() + TIMEOUT_MS;
    while (!settled.aborted) {
      const found = (await this.#lastEvents()).find(isTaskFailure);
      if (found != null)
        throw new Error(
          `a Workflow Task failed: ${found.workflowTaskFailedEventAttributes?.failure?.message ?? 'no message'}`,
        );
      if (Date.now() > deadlineMs)
        throw new Error(`no end in ${TIMEOUT_MS / 1000} s: ${await this.#pending()}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return await new Promise<never>(() => undefined);
  }

  /** The newest events first: whole histories may be too large to be read again and again. */
  async #lastEvents(): Promise<HistoryEvents> {
    const { history } = await this.handle.client.workflowService.getWorkflowExecutionHistoryReverse({
      namespace: this.handle.client.options.namespace,
      execution: { workflowId: this.workflowId },
      maximumPageSize: 5,
    });
    return history?.events ?? [];
  }

  async #pending(): Promise<string> {
    const { raw } = await this.handle.describe();
    const lines = (raw.pendingActivities ?? []).map(
      ({ activityId, attempt, lastFailure }) => `${activityId}, attempt ${attempt}: ${lastFailure?.message}`,
    );
    return lines.length === 0 ? 'no activity is pending' : lines.join('; ');
  }

  async history(): Promise<History> {
    return await this.handle.fetchHistory();
  }

  /** The answer of a query. */
  async query<T>(name: string): Promise<T> {
    return await this.handle.query<T>(name);
  }

  /** The Markdown that the Temporal UI shows of this run. */
  async details(): Promise<string> {
    const { currentDetails } = await this.query<{ readonly currentDetails?: string }>(
      '__temporal_workflow_metadata',
    );
    return currentDetails ?? '';
  }

  /** Waits until an approval is asked for. */
  async asked(id: string): Promise<Approval> {
    return await until(
      `the approval ${id}`,
      async () => {
        const waiting = await this.query<readonly Approval[]>('approvals').catch(() => []);
        return waiting.find((one) => one.id === id);
      },
      { timeoutMs: TIMEOUT_MS, everyMs: 50 },
    );
  }

  /** Waits for an approval and answers it. */
  async answer(
    id: string,
    verdict: ApprovalAnswer['verdict'],
    more: Partial<ApprovalAnswer> = {},
  ): Promise<void> {
    const { digest } = await this.asked(id);
    await this.handle.executeUpdate('approve', { args: [{ id, digest, verdict, ...more }] });
  }
}

function endOf(cause: Error | undefined): EndedRun {
  const message = cause?.message ?? '';
  if (cause instanceof CancelledFailure) return { as: 'cancelled', code: '', message };
  if (cause instanceof TerminatedFailure) return { as: 'terminated', code: '', message };
  if (cause instanceof ApplicationFailure) return { as: 'failed', code: cause.type ?? '', message };
  // An activity that timed out has no code of its own.
  const reason = cause instanceof ActivityFailure ? (cause.cause?.message ?? message) : message;
  return { as: 'failed', code: '', message: reason };
}

const unscripted: Behaviour = async ({ activityId, kind }) => {
  throw new EscadaFailure({ code: 'INVALID_SPEC', message: `no script for ${activityId} (${kind})` });
};

function isTaskFailure(event: HistoryEvents[number]): boolean {
  const attributes = event.workflowTaskFailedEventAttributes;
  return attributes != null && !HARMLESS_CAUSES.includes(attributes.cause ?? 0);
}
