/**
 * Start requests: everything about a run that is decided before it starts, as plain JSON values. The same request starts
 * a run now (`startOptions`), on a Schedule (`scheduleAction`), from a Nexus operation or in a test.
 */
import { randomBytes } from 'node:crypto';
import type { ScheduleOptionsStartWorkflowAction, Workflow } from '@temporalio/client';
import type { ListedPlugin } from '../plugins/host/host.ts';
import { readSettings } from '../runtime/settings.ts';
import type { JsonValue } from '../schemas/common/json.ts';
import { summaryLine } from '../schemas/common/plain-text.ts';
import type { ResourceClass } from '../schemas/plan/queues.ts';
import { MAX_RUN_SUMMARY_BYTES, type WorkflowName } from '../schemas/plan/constants.ts';

/** Hexadecimal digits that distinguish runs of one name. */
export const ID_DIGITS = 8;

/** What has to be true when a run starts and cannot be seen in the spec alone; `checkStart` looks. */
export interface StartChecks {
  /** Files that the spec names by path; they must be readable under the data roots. */
  readonly dataPaths: readonly string[];
  /** Resource classes of the run's steps: a worker must poll the queue of each. */
  readonly resources: readonly ResourceClass[];
}

/** A run that is ready to start. Field names are those of Temporal's start options. */
export interface StartRequest<Spec = unknown> {
  readonly type: WorkflowName;
  readonly args: readonly [Spec];
  readonly taskQueue: string;
  readonly workflowId: string;
  /** `specDigest`: SHA-256 of the spec with its defaults. */
  readonly memo: { readonly [key: string]: JsonValue };
  /** One line for the list of runs. */
  readonly staticSummary: string;
  /** A few lines for the page of the run. */
  readonly staticDetails: string;
  readonly checks: StartChecks;
}

/** Options of every start request. */
export interface StartRequestOptions {
  /** Default: made from the spec's name and a random number. */
  readonly workflowId?: string;
  /** One line for the list of runs; default: made from the spec. */
  readonly summary?: string;
  /** Base name of the task queues; default: `ESCADA_TASK_QUEUE`. */
  readonly taskQueue?: string;
  /** Plugins that the spec may name beside those of the project. */
  readonly plugins?: readonly ListedPlugin[];
}

/** Start options of Temporal's client (`client.workflow.start(request.type, …)`) and of a Nexus operation's handler. */
export function startOptions<Spec>({ type: _type, checks: _checks, args, ...request }: StartRequest<Spec>) {
  return { ...request, args: [...args] as [Spec], memo: { ...request.memo } };
}

/** The action of a Schedule that starts the run: `client.schedule.create({ action: scheduleAction(request), … })`. */
export function scheduleAction(request: StartRequest): ScheduleOptionsStartWorkflowAction<Workflow> {
  return { type: 'startWorkflow', workflowType: request.type, ...startOptions(request) };
}

/** What a kind of run brings to its request. */
export interface RequestParts {
  readonly idPrefix: string;
  /** Default: a random number. */
  readonly suffix?: string;
  readonly specDigest: string;
  readonly summary: string;
  readonly details: readonly string[];
  readonly checks: StartChecks;
}

/** Builds a request: ids, and texts in a form that the server takes whatever a spec or caller says. */
export function buildRequest<Spec>(
  type: WorkflowName,
  spec: Spec,
  { workflowId, summary, taskQueue }: StartRequestOptions,
  { idPrefix, suffix = randomBytes(ID_DIGITS / 2).toString('hex'), specDigest, ...parts }: RequestParts,
): StartRequest<Spec> {
  return {
    type,
    args: [spec],
    taskQueue: taskQueue ?? readSettings().taskQueue,
    workflowId: workflowId ?? `${idPrefix}-${suffix}`,
    memo: { specDigest },
    staticSummary: summaryLine(summary ?? parts.summary, MAX_RUN_SUMMARY_BYTES),
    staticDetails: parts.details.map((line) => `- ${summaryLine(line, MAX_RUN_SUMMARY_BYTES)}`).join('\n'),
    checks: parts.checks,
  };
}
