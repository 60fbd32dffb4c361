/** Composition root of a client: typed starts, queries and cancellation of runs. */
import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { readSettings, type Settings } from './runtime/settings.ts';
import { connectTemporal } from './client/connect.ts';
import { notFound } from './client/failures.ts';
import { answerRun, queryRun } from './client/query-run.ts';
import { requirePollers } from './client/require-pollers.ts';
import * as start from './client/start.ts';
import type { ListedPlugin } from './plugins/host/host.ts';
import type { AdaptationSpecInput } from './schemas/spec/adaptation-spec.ts';
import type { AdaptationOutcome, DecisionRecord, Progress } from './schemas/outcome/decision.ts';
import { QUERY_APPROVALS, QUERY_DECISIONS, QUERY_PROGRESS } from './schemas/plan/constants.ts';
import type { Approval, ApprovalAnswer } from './schemas/outcome/approval.ts';
import type { PipelineSpecInput } from './schemas/spec/pipeline-spec.ts';
import type { TrainSpecInput } from './schemas/spec/train-spec.ts';

export * from './client/requests.ts';
export type * from './client/start.ts';

/** What differs from the environment's settings, and the plugins that specs may name beside the built-in ones. */
export interface EscadaClientOptions extends Partial<Settings> {
  readonly plugins?: readonly ListedPlugin[];
}

/** A typed client of one Temporal namespace. Every method throws `EscadaFailure`s. */
export class EscadaClient {
  readonly temporal: Client;
  readonly #settings: Settings;
  readonly #plugins: readonly ListedPlugin[];

  readonly #closing = new AbortController();
  /** Over a connected client of the caller's; `close` then closes that one's connection. */
  constructor(temporal: Client, { plugins = [], ...settings }: EscadaClientOptions = {}) {
    this.temporal = temporal;
    this.#settings = { ...readSettings(), ...settings };
    this.#plugins = plugins;
  }

  /** Connects with Temporal's own environment variables. Throws `SERVER_UNREACHABLE`. */
  static async connect(options: EscadaClientOptions = {}): Promise<EscadaClient> {
    return new EscadaClient(await connectTemporal(), options);
  }

  /** Starts an adaptation. With `attach`, an open run of the same spec is followed instead of starting a second one. */
  async startAdaptation(
    spec: AdaptationSpecInput,
    options: start.AdaptationStartOptions = {},
  ): Promise<start.StartedAdaptation> {
    return await start.startAdaptation(this.#starting(), spec, options);
  }

  /** Starts one training without a ladder. */
  async startTraining(spec: TrainSpecInput, options: start.StartOptions = {}): Promise<start.TrainHandle> {
    return await start.startTraining(this.#starting(), spec, options);
  }

  /** Starts a pipeline of steps; `result` is typed by what the caller knows of its nodes' outputs. */
  async startPipeline<O>(
    spec: PipelineSpecInput,
    options: start.StartOptions = {},
  ): Promise<start.PipelineHandle<O>> {
    return await start.startPipeline(this.#starting(), spec, options);
  }

  #starting(): start.Starting {
    return { temporal: this.temporal, settings: this.#settings, plugins: this.#plugins };
  }

  /** Throws `NO_WORKER` when no worker is polling one of the task queues. */
  async requireWorker(): Promise<void> {
    await requirePollers(this.temporal, this.#settings.taskQueue);
  }

  handle(workflowId: string): start.AdaptHandle {
    return this.temporal.workflow.getHandle(workflowId);
  }

  /** Waits for a run's outcome. Throws the run's failure, and an abort when this client is closed first. */
  async result(workflowId: string): Promise<AdaptationOutcome> {
    const { signal } = this.#closing;
    return await this.temporal.withAbortSignal(signal, () => this.handle(workflowId).result());
  }

  async progress(workflowId: string): Promise<Progress> {
    return await queryRun(this.temporal, workflowId, QUERY_PROGRESS);
  }

  async decisions(workflowId: string): Promise<readonly DecisionRecord[]> {
    return await queryRun(this.temporal, workflowId, QUERY_DECISIONS);
  }

  /** The pending approvals of a run, an adaptation or a pipeline. */
  async approvals(workflowId: string): Promise<readonly Approval[]> {
    return await queryRun(this.temporal, workflowId, QUERY_APPROVALS);
  }

  /**
   * Answers an approval. Throws what the run refuses (`APPROVAL_UNKNOWN`, `APPROVAL_STALE`, `APPROVAL_INVALID`), and
   * `RUN_UNRESPONSIVE` when no worker takes the answer in time.
   */
  async approve(workflowId: string, answer: ApprovalAnswer): Promise<void> {
    await answerRun(this.temporal, workflowId, answer);
  }

  /** What the server knows of a run; works without a worker. Throws `RUN_NOT_FOUND`. */
  async describe(workflowId: string): Promise<WorkflowExecutionDescription> {
    try {
      return await this.handle(workflowId).describe();
    } catch (cause) {
      throw notFound(cause, workflowId);
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.temporal.connection.close();
  }
}
