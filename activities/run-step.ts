import { basename } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Context } from '@temporalio/activity';
import { MAX_PAYLOAD_BYTES } from '../schemas/plan/constants.ts';
import type { JsonObject } from '../schemas/common/json.ts';
import type { StepOrigin, StepResult } from '../schemas/plan/pipeline-plan.ts';
import { EscadaFailure } from '../plugins/sdk/contracts/failure.ts';
import type { StepContext, StepKindV1, StepServices } from '../plugins/sdk/contracts/step-kind.ts';
import type { FileStore } from '../core/store/file-store.ts';
import { withHold } from '../core/store/holds.ts';
import { noteReferences } from '../core/store/references.ts';
import { translateFailure } from './failures.ts';
import { formatIssues } from '../plugins/sdk/issues.ts';
import { withRowsIn } from '../plugins/sdk/rows-folder.ts';
import { whileRunning } from './running.ts';
import {
  actionKey,
  cachePath,
  readAction,
  writeAction,
  type FinishedAction,
} from '../core/store/action-cache.ts';
import { startPulse, type Pulse } from './pulse.ts';
import { requireInputs } from './require-inputs.ts';
import {
  openRunFolder,
  openScratch,
  resultPath,
  runFolder,
  type Scratch,
  type StepPlace,
} from '../core/store/scratch.ts';

export interface StepDeps {
  readonly store: FileStore;
  readonly services: StepServices;
}

/**
 * Makes the Activity of one step kind. Its arguments are the step's `with`, references already replaced, and the run that
 * attempts share what they made with.
 */
export function stepActivity(kind: StepKindV1, deps: StepDeps) {
  return async (input: JsonObject, origin?: StepOrigin): Promise<StepResult> => {
    try {
      const place = placeOf(Context.current(), origin);
      const run = basename(runFolder(deps.store.root, place));
      return await whileRunning(`${place.nodeId} (${kind.kind})`, () =>
        withHold(deps.store.root, run, () => runStep(kind, input, deps, place)),
      );
    } catch (error) {
      const { cancellationSignal, info } = Context.current();
      // Whatever broke because of a cancellation is that cancellation: Temporal decides by its class what comes next.
      throw cancellationSignal.aborted ? cancellationSignal.reason : translateFailure(error, info.attempt);
    }
  };
}

function placeOf({ info }: Context, origin: StepOrigin | undefined): StepPlace {
  const { namespace, workflowExecution, activityId } = info;
  const { workflowId, runId } = workflowExecution ?? { workflowId: 'none', runId: 'none' };
  return { namespace, workflowId, firstRunId: origin?.firstRunId ?? runId, nodeId: activityId };
}

const runIdOf = ({ info }: Context): string => info.workflowExecution?.runId ?? 'none';

async function runStep(
  kind: StepKindV1,
  input: JsonObject,
  deps: StepDeps,
  place: StepPlace,
): Promise<StepResult> {
  // Captured once: Activity calls inside abort listeners and timers run outside the Activity's own context.
  const context = Context.current();
  const parsed = kind.withSchema.safeParse(input);
  if (!parsed.success) {
    const issues = formatIssues(parsed.error, 'with');
    throw new EscadaFailure({
      code: 'INVALID_SPEC',
      message: `Step ${place.nodeId} (${kind.kind}): ${issues}`,
    });
  }
  const pulse = startPulse(context, kind);
  try {
    const salt = await pulse.guard(
      async () => (await kind.doCacheSalt?.(parsed.data, deps.services, pulse.signal)) ?? '',
    );
    const key = actionKey(kind.kind, input, salt);
    const identity = { kind: kind.kind, key, outputSchema: kind.outputSchema };
    // A published result of an earlier attempt counts even for kinds that are not cacheable: the reply may have been lost.
    const path = kind.cacheable ? cachePath(deps.store, key) : resultPath(deps.store.root, place, key);
    const found = await readAction(deps.store, path, identity);
    const noted = async (output: JsonObject): Promise<void> =>
      await noteReferences(await openRunFolder(deps.store.root, place), [runIdOf(context), place.nodeId], {
        ...(kind.cacheable ? { action: key } : {}),
        values: [input, output],
      });
    if (found !== null) {
      await noted(found.output);
      return { output: found.output, cached: true, seconds: found.seconds };
    }
    await requireInputs(deps.store, input, place.nodeId);
    const scratch = await openScratch(deps.store.root, place);
    const finished = await pulse.guard(() => execute(kind, parsed.data, deps, pulse, scratch));
    await writeAction(path, identity, finished);
    await noted(finished.output);
    await scratch.finish();
    return { output: finished.output, cached: false, seconds: finished.seconds };
  } finally {
    pulse.stop();
  }
}

async function execute(
  kind: StepKindV1,
  input: unknown,
  deps: StepDeps,
  pulse: Pulse,
  scratch: Scratch,
): Promise<FinishedAction> {
  const started = performance.now();
  const step: StepContext = {
    ...bindServices(deps.services),
    signal: pulse.signal,
    heartbeat: (details) => pulse.report(details),
    scratchDir: scratch.attemptDir,
    earlierScratchDirs: scratch.earlierDirs,
  };
  const output = await withRowsIn(scratch.attemptDir, async () => await kind.doRun(input, step));
  pulse.signal.throwIfAborted();
  const checked = kind.outputSchema.parse(output);
  guardSize(kind.kind, checked);
  return { output: checked, seconds: (performance.now() - started) / 1000 };
}

/** Services are class instances or closures; a spread would lose prototype methods. */
function bindServices(services: StepServices): StepServices {
  return {
    store: services.store,
    languageModel: (provider, choice) => services.languageModel(provider, choice),
    trainer: (id) => services.trainer(id),
    metric: (choice) => services.metric(choice),
    retriever: (id) => services.retriever(id),
    resolveDataPath: (path) => services.resolveDataPath(path),
  };
}

function guardSize(kind: string, output: JsonObject): void {
  const sizeBytes = Buffer.byteLength(JSON.stringify(output));
  if (sizeBytes <= MAX_PAYLOAD_BYTES) return;
  throw new EscadaFailure({
    code: 'PAYLOAD_TOO_LARGE',
    message: `Step kind ${kind} returned ${sizeBytes} bytes; at most ${MAX_PAYLOAD_BYTES} may travel in a history.`,
    fields: { kind, sizeBytes },
  });
}
