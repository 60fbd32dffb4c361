import { randomBytes } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { AdaptationSpecInput } from '../schemas/spec/adaptation-spec.ts';
import type { AdaptationOutcome } from '../schemas/outcome/decision.ts';
import type { PipelineSpecInput } from '../schemas/spec/pipeline-spec.ts';
import type { TrainOutcome } from '../schemas/outcome/train-run.ts';
import type { TrainSpecInput } from '../schemas/spec/train-spec.ts';
import { checkStart, type StartAccess } from './check-start.ts';
import { adaptationStart, pipelineStart, trainingStart, type AdaptationRequestOptions } from './requests.ts';
import { startOptions, type StartRequest, type StartRequestOptions } from './start-request.ts';

export type AdaptHandle = WorkflowHandle<(spec: AdaptationSpecInput) => Promise<AdaptationOutcome>>;
export type PipelineHandle<Outputs> = WorkflowHandle<(spec: PipelineSpecInput) => Promise<Outputs>>;
export type TrainHandle = WorkflowHandle<(spec: TrainSpecInput) => Promise<TrainOutcome>>;

/** Options of a start by `EscadaClient`, which brings task queue and plugins itself. */
export type StartOptions = Omit<StartRequestOptions, 'taskQueue' | 'plugins'>;

/** Options of the start of an adaptation by `EscadaClient`. */
export interface AdaptationStartOptions extends Omit<AdaptationRequestOptions, 'taskQueue' | 'plugins'> {
  /** Attaches to an open run of the same spec and scope instead of starting a second one. Default: false. */
  readonly attach?: boolean;
}

/** What a client needs to start a run. */
export type Starting = StartAccess;

/** A run that was started, or attached to. */
export type StartedAdaptation = AdaptHandle & {
  /** Whether it was running already. */
  readonly attached: boolean;
};

/** Checks and starts an adaptation; with `attach`, an open run of the same spec and scope is followed instead. */
export async function startAdaptation(
  starting: Starting,
  spec: AdaptationSpecInput,
  { attach = false, scope = '', ...options }: AdaptationStartOptions,
): Promise<StartedAdaptation> {
  const { settings, plugins, temporal } = starting;
  const given = { ...options, taskQueue: settings.taskQueue, plugins, ...(attach && { scope }) };
  const request = await adaptationStart(spec, given);
  await checkStart(request, starting);
  const startToken = randomBytes(4).toString('hex');
  const handle: AdaptHandle = await temporal.workflow.start(request.type, {
    ...startOptions(request),
    memo: { ...request.memo, startToken },
    workflowIdConflictPolicy: attach ? 'USE_EXISTING' : 'FAIL',
  });
  // The memo of a run that was there before has another start's token.
  const attached = attach && (await handle.describe()).memo?.['startToken'] !== startToken;
  return Object.assign(handle, { attached });
}

/** Checks and starts one training without a ladder. */
export async function startTraining(
  starting: Starting,
  spec: TrainSpecInput,
  options: StartOptions,
): Promise<TrainHandle> {
  return await startChecked(starting, await trainingStart(spec, withContext(starting, options)));
}

/** Checks and starts a pipeline of steps. */
export async function startPipeline<Outputs>(
  starting: Starting,
  spec: PipelineSpecInput,
  options: StartOptions,
): Promise<PipelineHandle<Outputs>> {
  return await startChecked(starting, await pipelineStart(spec, withContext(starting, options)));
}

async function startChecked<Spec, Outcome>(
  starting: Starting,
  request: StartRequest<Spec>,
): Promise<WorkflowHandle<(spec: Spec) => Promise<Outcome>>> {
  await checkStart(request, starting);
  const { temporal } = starting;
  return await temporal.workflow.start<(spec: Spec) => Promise<Outcome>>(request.type, startOptions(request));
}

const withContext = ({ settings, plugins }: Starting, options: StartOptions): StartRequestOptions => ({
  ...options,
  taskQueue: settings.taskQueue,
  plugins,
});
