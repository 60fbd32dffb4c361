import { createHash, randomBytes } from 'node:crypto';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { compilePipelineSpec } from '../core/compile/compile-pipeline-spec.ts';
import { compileSpec } from '../core/compile/compile-spec.ts';
import { compileTrainSpec } from '../core/compile/compile-train-spec.ts';
import { dataPaths } from '../core/compile/data-paths.ts';
import { resolveDataPath } from '../core/data-roots.ts';
import type { Settings } from '../runtime/settings.ts';
import type { ListedPlugin, PluginHost } from '../plugins/host/host.ts';
import { createProjectHost } from '../plugins.ts';
import type { AdaptationSpecInput } from '../schemas/spec/adaptation-spec.ts';
import type { AdaptationOutcome } from '../schemas/outcome/candidate.ts';
import { MAX_RUN_SUMMARY_BYTES } from '../schemas/plan/constants.ts';
import { summaryLine } from '../schemas/common/plain-text.ts';
import type { PipelineSpecInput } from '../schemas/spec/pipeline-spec.ts';
import type { TrainOutcome } from '../schemas/outcome/train-run.ts';
import type { TrainSpecInput } from '../schemas/spec/train-spec.ts';
import { requirePollers } from './require-pollers.ts';

export type AdaptHandle = WorkflowHandle<(spec: AdaptationSpecInput) => Promise<AdaptationOutcome>>;
export type PipelineHandle<Outputs> = WorkflowHandle<(spec: PipelineSpecInput) => Promise<Outputs>>;
export type TrainHandle = WorkflowHandle<(spec: TrainSpecInput) => Promise<TrainOutcome>>;

export interface StartOptions {
  /** Default: made from the spec's name and chance. */
  readonly workflowId?: string;
  /** One line for the list of runs. */
  readonly summary?: string;
}

/** One line for the list of runs: whatever a spec or caller says, the server takes it. */
const runSummary = (text: string): string => summaryLine(text, MAX_RUN_SUMMARY_BYTES);

/** What a client needs to start a run. */
export interface Starting {
  readonly temporal: Client;
  readonly settings: Settings;
  readonly plugins: readonly ListedPlugin[];
}

/** Compiles a spec as the run will, as a courtesy: what is wrong is said before anything is started. */
async function checked<T>(starting: Starting, compile: (host: PluginHost) => T): Promise<T> {
  const host = createProjectHost(starting.plugins);
  try {
    return compile(host);
  } finally {
    await host.close();
  }
}

/** What a run of this spec cannot do without: its files, and somebody who polls. */
async function requireReady(
  { temporal, settings }: Starting,
  spec: Parameters<typeof dataPaths>[0],
): Promise<void> {
  const access = { roots: settings.dataRoots, closed: [settings.storeRoot] };
  for (const path of dataPaths(spec)) await resolveDataPath(path, access);
  await requirePollers(temporal, settings.taskQueue);
}

/** A run that was started, or taken up. */
export type StartedAdaptation = AdaptHandle & {
  /** Whether it was going on already. */
  readonly attached: boolean;
};

export interface AdaptationStartOptions {
  readonly workflowId?: string;
  /** Takes up an open run of the same spec instead of starting a second one. Default: false. */
  readonly attach?: boolean;
  /** What tells this project's runs from others' on the same server: only a run of the same scope is taken up. */
  readonly scope?: string;
}

/** Characters of the digest in an id that follows from the spec. */
const ID_DIGITS = 8;

/** With `attach` the id follows from scope and spec, so that an open run of it can be taken up. */
export async function startClimb(
  starting: Starting,
  spec: AdaptationSpecInput,
  { workflowId, attach = false, scope = '' }: AdaptationStartOptions,
): Promise<StartedAdaptation> {
  const plan = await checked(starting, (host) => compileSpec(spec, host));
  await requireReady(starting, plan.spec);
  const token = randomBytes(ID_DIGITS / 2).toString('hex');
  const digest = createHash('sha256')
    .update(`${scope}\n${plan.specDigest}`)
    .digest('hex')
    .slice(0, ID_DIGITS);
  const handle: AdaptHandle = await starting.temporal.workflow.start('adaptModel', {
    args: [spec],
    taskQueue: starting.settings.taskQueue,
    workflowId: workflowId ?? `adapt-${plan.spec.name}-${attach ? digest : token}`,
    workflowIdConflictPolicy: attach ? 'USE_EXISTING' : 'FAIL',
    staticSummary: runSummary(`Adapt ${plan.spec.model.id} to ${plan.spec.name}`),
    memo: { specDigest: plan.specDigest, startToken: token },
  });
  // The memo of a run that was there before has another start's token.
  const attached = attach && (await handle.describe()).memo?.['startToken'] !== token;
  return Object.assign(handle, { attached });
}

export async function startTraining(
  starting: Starting,
  raw: TrainSpecInput,
  options: StartOptions,
): Promise<TrainHandle> {
  const { spec } = await checked(starting, (host) => compileTrainSpec(raw, host));
  await requireReady(starting, spec);
  return await starting.temporal.workflow.start('trainModel', {
    args: [raw],
    taskQueue: starting.settings.taskQueue,
    workflowId: options.workflowId ?? `train-${spec.name}-${randomBytes(4).toString('hex')}`,
    staticSummary: runSummary(options.summary ?? `Train ${spec.model.id} on ${spec.name}`),
  });
}

export async function startPipeline<Outputs>(
  starting: Starting,
  spec: PipelineSpecInput,
  options: StartOptions,
): Promise<PipelineHandle<Outputs>> {
  await checked(starting, (host) => compilePipelineSpec(spec, host));
  await requirePollers(starting.temporal, starting.settings.taskQueue);
  return await starting.temporal.workflow.start('runPipeline', {
    args: [spec],
    taskQueue: starting.settings.taskQueue,
    workflowId: options.workflowId ?? `pipeline-${randomBytes(6).toString('hex')}`,
    staticSummary: runSummary(options.summary ?? spec.name),
  });
}
