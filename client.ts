/** Composition root of a client: typed starts, queries and cancellation of runs. */
import { randomBytes } from 'node:crypto';
import { Client, Connection, WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import type { WorkflowExecutionDescription, WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { compileSpec } from './activities/compile/compile-spec.ts';
import { dataPaths } from './activities/shared/data-paths.ts';
import { resolveDataPath } from './activities/shared/services.ts';
import { readSettings, type Settings } from './activities/shared/settings.ts';
import { EscadaFailure } from './plugins/api/failure.ts';
import { createProjectHost } from './plugins.ts';
import type { AdaptationSpecInput } from './schemas/adapt/adaptation-spec.ts';
import type { AdaptationOutcome, DecisionRecord, Progress } from './schemas/adapt/candidate.ts';
import {
  QUERY_APPROVALS,
  QUERY_DECISIONS,
  QUERY_PROGRESS,
  UPDATE_APPROVE,
} from './schemas/common/constants.ts';
import { ERROR_CODES, type ErrorCode } from './schemas/common/error-codes.ts';
import type { Approval, ApprovalAnswer } from './schemas/pipeline/approval.ts';

type AdaptHandle = WorkflowHandle<(spec: AdaptationSpecInput) => Promise<AdaptationOutcome>>;

/** Queries need a worker; without one they would wait for ever. */
const QUERY_DEADLINE_MS = 10_000;

/** A typed client of one Temporal namespace. Every method throws `EscadaFailure`s. */
export class EscadaClient {
  readonly temporal: Client;
  readonly #settings: Settings;

  private constructor(temporal: Client, settings: Settings) {
    this.temporal = temporal;
    this.#settings = settings;
  }

  /** Connects with Temporal's own environment variables. Throws `SERVER_UNREACHABLE`. */
  static async connect(settings: Settings = readSettings()): Promise<EscadaClient> {
    const { connectionOptions, namespace } = loadClientConnectConfig();
    const address = connectionOptions.address ?? 'localhost:7233';
    try {
      const connection = await Connection.connect({ ...connectionOptions, connectTimeout: '5s' });
      return new EscadaClient(new Client({ connection, namespace: namespace ?? 'default' }), settings);
    } catch (cause) {
      throw new EscadaFailure({
        code: 'SERVER_UNREACHABLE',
        message: `No Temporal server answers at ${address}. Start one with \`escada server\`, or set TEMPORAL_ADDRESS.`,
        fields: { address },
        cause,
      });
    }
  }

  /**
   * Starts a climb. The spec is compiled here first, as a courtesy; the run compiles it again. With `attach` the id
   * follows from the spec, and a run of that id that is still open is taken up instead of a second one.
   */
  async start(
    spec: AdaptationSpecInput,
    options: { readonly workflowId?: string; readonly attach?: boolean } = {},
  ): Promise<AdaptHandle> {
    const host = createProjectHost();
    const plan = compileSpec(spec, host);
    await host.close();
    for (const path of dataPaths(plan.spec)) await resolveDataPath(path, this.#settings.dataRoots);
    await this.requireWorker();
    const suffix = options.attach === true ? plan.specDigest.slice(0, 8) : randomBytes(4).toString('hex');
    return await this.temporal.workflow.start('adaptModel', {
      args: [spec],
      taskQueue: this.#settings.taskQueue,
      workflowId: options.workflowId ?? `adapt-${plan.spec.name}-${suffix}`,
      workflowIdConflictPolicy: options.attach === true ? 'USE_EXISTING' : 'FAIL',
      staticSummary: `Adapt ${plan.spec.model.id} to ${plan.spec.name}`,
      memo: { specDigest: plan.specDigest },
    });
  }

  /** Throws `NO_WORKER` when nobody polls one of the task queues. */
  async requireWorker(): Promise<void> {
    const { taskQueue } = this.#settings;
    const missing: string[] = [];
    for (const [name, type] of [
      [taskQueue, 1],
      [`${taskQueue}-cpu`, 2],
      [`${taskQueue}-gpu`, 2],
    ] as const) {
      const { pollers } = await this.temporal.workflowService.describeTaskQueue({
        namespace: this.temporal.options.namespace,
        taskQueue: { name },
        taskQueueType: type,
      });
      if ((pollers ?? []).length === 0) missing.push(name);
    }
    if (missing.length === 0) return;
    throw new EscadaFailure({
      code: 'NO_WORKER',
      message: `Nobody polls the task queue ${missing.join(', ')}. Start a worker with \`escada worker\`, then try again.`,
      fields: { missing },
    });
  }

  handle(workflowId: string): AdaptHandle {
    return this.temporal.workflow.getHandle(workflowId);
  }

  async progress(workflowId: string): Promise<Progress> {
    return await this.#query(workflowId, (handle) => handle.query<Progress, []>(QUERY_PROGRESS));
  }

  async decisions(workflowId: string): Promise<readonly DecisionRecord[]> {
    return await this.#query(workflowId, (handle) =>
      handle.query<readonly DecisionRecord[], []>(QUERY_DECISIONS),
    );
  }

  /** What waits for an answer in a run, a climb or a pipeline. */
  async approvals(workflowId: string): Promise<readonly Approval[]> {
    return await this.#query(workflowId, (handle) => handle.query<readonly Approval[], []>(QUERY_APPROVALS));
  }

  /** Answers an approval. Throws what the run refuses: `APPROVAL_UNKNOWN`, `APPROVAL_STALE`, `APPROVAL_INVALID`. */
  async approve(workflowId: string, answer: ApprovalAnswer): Promise<void> {
    try {
      await this.handle(workflowId).executeUpdate(UPDATE_APPROVE, { args: [answer] });
    } catch (cause) {
      throw refusedUpdate(cause) ?? notFound(cause, workflowId);
    }
  }

  /** What the server knows of a run; works without a worker. Throws `RUN_NOT_FOUND`. */
  async describe(workflowId: string): Promise<WorkflowExecutionDescription> {
    try {
      return await this.handle(workflowId).describe();
    } catch (cause) {
      throw notFound(cause, workflowId);
    }
  }

  async #query<T>(workflowId: string, ask: (handle: AdaptHandle) => Promise<T>): Promise<T> {
    try {
      return await this.temporal.withDeadline(Date.now() + QUERY_DEADLINE_MS, () =>
        ask(this.handle(workflowId)),
      );
    } catch (cause) {
      throw notFound(cause, workflowId);
    }
  }

  async close(): Promise<void> {
    await this.temporal.connection.close();
  }
}

/** The coded failure behind a refused update. */
function refusedUpdate(error: unknown): EscadaFailure | null {
  const { cause } = error as { cause?: unknown };
  if (!(error instanceof WorkflowUpdateFailedError && cause instanceof ApplicationFailure)) return null;
  const code = cause.type as ErrorCode;
  if (!Object.hasOwn(ERROR_CODES, code)) return null;
  return new EscadaFailure({ code, message: cause.message, cause: error });
}

function notFound(cause: unknown, workflowId: string): unknown {
  if (!(cause instanceof WorkflowNotFoundError)) return cause;
  return new EscadaFailure({ code: 'RUN_NOT_FOUND', message: `There is no run "${workflowId}".`, cause });
}
