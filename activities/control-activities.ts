import { Context } from '@temporalio/activity';
import type { DecideInput, JudgeRungInput, WriteReportInput } from '../schemas/plan/control-activities.ts';
import type { ArtifactRef } from '../schemas/common/artifact-ref.ts';
import type { JsonValue } from '../schemas/common/json.ts';
import type { StepOrigin } from '../schemas/plan/pipeline-plan.ts';
import { MAX_RESULT_BYTES } from '../schemas/plan/constants.ts';
import type { ArtifactStoreV1 } from '../plugins/sdk/contracts/artifact-store.ts';
import { EscadaFailure } from '../plugins/sdk/contracts/failure.ts';
import type { StepServices } from '../plugins/sdk/contracts/step-kind.ts';
import { uniqueReferences } from '../plugins/sdk/store/references.ts';
import type { PluginHost } from '../plugins/host/host.ts';
import { compilePipelineSpec } from '../core/compile/compile-pipeline-spec.ts';
import { compileSpec } from '../core/compile/compile-spec.ts';
import { compileTrainSpec } from '../core/compile/compile-train-spec.ts';
import { decide } from '../core/decide/decide.ts';
import { judgeRung } from '../core/decide/judge-rung.ts';
import type { ResampleWork } from '../core/decide/statistics/index.ts';
import type { ReportDeps } from '../core/report/report-data.ts';
import { writeReport } from '../core/report/write-report.ts';
import { translateFailure } from './failures.ts';
import { dataPaths } from '../core/compile/data-paths.ts';
import { whileRunning } from './running.ts';
import { createServices } from './services.ts';

export interface ActivityDeps {
  readonly host: PluginHost;
  readonly store: ArtifactStoreV1;
  readonly dataRoots: readonly string[];
}

/** Activities that workflows call beside the step kinds. Their types are what workflow code sees of them. */
export function createControlActivities(deps: ActivityDeps) {
  const { store, host } = deps;
  const judging = { store, registry: host.registry };
  const services = createServices({ registry: host.registry, store, dataRoots: deps.dataRoots });
  const activity = <I, O>(name: string, work: (input: I) => Promise<O>) => withCare(deps, name, work);
  return {
    compileSpec: activity('compileSpec', async ({ spec }: { readonly spec: unknown }) => {
      const plan = compileSpec(spec, host);
      for (const path of dataPaths(plan.spec)) await services.resolveDataPath(path);
      return { plan, artifact: await store.putJson(plan) };
    }),

    compileTrainSpec: activity('compileTrainSpec', async ({ spec: raw }: { readonly spec: unknown }) => {
      const { spec, plan } = compileTrainSpec(raw, host);
      for (const path of dataPaths(spec)) await services.resolveDataPath(path);
      return { plan };
    }),

    compilePipelineSpec: activity('compilePipelineSpec', async ({ spec }: { readonly spec: unknown }) =>
      Promise.resolve(compilePipelineSpec(spec, host)),
    ),

    /** Stores what is to be approved; its SHA-256 is the digest that answers are bound to. */
    openApproval: activity('openApproval', async ({ subject }: { readonly subject: JsonValue }) => ({
      subject: await store.putJson(subject),
    })),

    /** A piece of the state of a run that continues as new. It may end between the two halves of a character. */
    keepText: activity('keepText', async ({ text }: { readonly text: string }) => ({
      piece: await store.putBytes(Buffer.from(text, 'utf16le'), 'application/octet-stream'),
    })),
    readText: activity('readText', async ({ piece }: { readonly piece: ArtifactRef }) => ({
      text: (await store.readBytes(piece)).toString('utf16le'),
    })),

    judgeRung: activity('judgeRung', async (input: JudgeRungInput) =>
      judgeRung(input, judging, resampleWork()),
    ),
    decide: activity('decide', async (input: DecideInput) => decide(input, judging, resampleWork())),
    writeReport: activity('writeReport', async (input: WriteReportInput) =>
      writeReport(input, { store, describeModel: describeWith(services) }),
    ),
  };
}

/** The control activities as workflow code calls them. */
export type ControlActivities = ReturnType<typeof createControlActivities>;

/** Resampling heartbeats with every piece that is done, and stops when the Activity is cancelled. */
function resampleWork(): ResampleWork {
  // Captured here: results of threads arrive outside the Activity's own context.
  const context = Context.current();
  context.heartbeat({ kind: 'bootstrap', done: 0 });
  return {
    signal: context.cancellationSignal,
    onProgress: (done, total) => context.heartbeat({ kind: 'bootstrap', done, total }),
  };
}

/** Opening a model that nobody uses any more may mean loading it: the report's wait is limited. */
const DESCRIBE_TIMEOUT_MS = 30_000;

function describeWith(services: StepServices): ReportDeps['describeModel'] {
  return async (model) =>
    (await services.languageModel(model).doDescribe?.(AbortSignal.timeout(DESCRIBE_TIMEOUT_MS))) ?? null;
}

/** What every control Activity does beside its work: keep what it uses, note what it refers to, translate failures. */
function withCare<I, O>({ store, host }: ActivityDeps, name: string, activity: (input: I) => Promise<O>) {
  return async (input: I, origin?: StepOrigin): Promise<O> => {
    try {
      const work = async () => sendable(name, await activity(input));
      return await whileRunning(name, () => inRun(store, input, origin, work));
    } catch (error) {
      const { cancellationSignal, info } = Context.current();
      throw cancellationSignal.aborted
        ? cancellationSignal.reason
        : translateFailure(error, host.registry.failureCodes, { attempt: info.attempt });
    }
  };
}

/** A plan is larger than its spec: it holds everything that the spec leaves to defaults. */
function sendable<O>(name: string, result: O): O {
  const sizeBytes = Buffer.byteLength(JSON.stringify(result));
  if (sizeBytes <= MAX_RESULT_BYTES) return result;
  throw new EscadaFailure({
    code: 'PAYLOAD_TOO_LARGE',
    message: `${name} made ${sizeBytes} bytes of this spec; at most ${MAX_RESULT_BYTES} may travel in a history. Divide the spec into several runs.`,
    fields: { name, sizeBytes },
  });
}

async function inRun<O>(
  store: ArtifactStoreV1,
  input: unknown,
  origin: StepOrigin | undefined,
  work: () => Promise<O>,
): Promise<O> {
  const { namespace, activityId, workflowExecution } = Context.current().info;
  const { workflowId, runId } = workflowExecution ?? { workflowId: 'none', runId: 'none' };
  const run = { namespace, workflowId, firstRunId: origin?.firstRunId ?? runId };
  return await store.withHold(run, async () => {
    const output = await work();
    const references = uniqueReferences([input, output]);
    if (references.length > 0) await store.noteUse(run, { activity: [runId, activityId], references });
    return output;
  });
}
