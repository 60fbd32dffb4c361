import { ContinueAsNew, continueAsNew } from '@temporalio/workflow';
import type { ApprovalRecord } from '../../schemas/outcome/approval.ts';
import { INTERPRETER_VERSION, MAX_RESULT_BYTES } from '../../schemas/plan/constants.ts';
import type { JsonObject, JsonValue } from '../../schemas/common/json.ts';
import type { PipelinePlan } from '../../schemas/plan/pipeline-plan.ts';
import { carry, MAX_SHOWN_BYTES, uncarry, type Carried } from '../shared/carried-parts.ts';
import { Continuation, handedOver, orContinue } from '../shared/continuation.ts';
import { control } from '../shared/control-activities.ts';
import { guardPayload, guardSpec, jsonBytes } from '../shared/payload.ts';
import type { NodeOutputs } from '../shared/plan-border.ts';
import { requireVersion } from '../shared/plan-version.ts';
import { asCancellation, runCancelled } from '../shared/step-failure.ts';
import { unwrapFailure } from '../shared/unwrap-failure.ts';
import { runPlan } from './interpreter.ts';
import { PipelineBoard, type FinishedStep } from './pipeline-board.ts';

/** What is run, and what has come of it so far. */
interface PipelineState {
  readonly plan: PipelinePlan;
  readonly inputs: JsonObject;
  readonly results: Record<string, JsonValue>;
}

/** What a run hands to the run that continues it. */
export interface CarriedPipeline {
  readonly interpreterVersion: number;
  readonly state: Carried<PipelineState>;
  readonly records: Carried<readonly ApprovalRecord[]>;
  readonly finished: Carried<readonly FinishedStep[]>;
}

/**
 * Runs a user's own pipeline and returns every node's output by id. When its history grows long it continues as new
 * between steps; `carried` is what one run hands to the next.
 */
export async function runPipeline(spec: unknown, carried?: CarriedPipeline): Promise<NodeOutputs> {
  const board = new PipelineBoard();
  board.approvals.listen();
  try {
    const before = handedOver(carried);
    const state = before === null ? await compile(spec) : await takeUp(before, board);
    return await orContinue(
      async () => await run(state, board),
      async () => await continueAsNew<typeof runPipeline>(spec, await handOver(state, board)),
    );
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    throw runCancelled() ? asCancellation(error) : unwrapFailure(error);
  }
}

async function compile(spec: unknown): Promise<PipelineState> {
  guardSpec(spec);
  const { plan, inputs } = await control.compilePipelineSpec({ spec: spec ?? null });
  return { plan, inputs, results: {} };
}

async function run({ plan, inputs, results }: PipelineState, board: PipelineBoard): Promise<NodeOutputs> {
  const { approvals } = board;
  const continuation = new Continuation(() => approvals.asking);
  const resumable = { results, continuation };
  const outputs = await runPlan({ plan, inputs, prefix: 'pipeline', observer: board, approvals, resumable });
  guardResult(outputs);
  return outputs;
}

async function handOver(state: PipelineState, board: PipelineBoard): Promise<CarriedPipeline> {
  return {
    interpreterVersion: INTERPRETER_VERSION,
    state: await carry(state),
    records: await carry(board.approvals.records),
    finished: await carry(board.finishedSteps, MAX_SHOWN_BYTES),
  };
}

async function takeUp(carried: CarriedPipeline, board: PipelineBoard): Promise<PipelineState> {
  requireVersion('The state of the run before', carried);
  board.approvals.restore(await uncarry(carried.records));
  board.restore(await uncarry(carried.finished));
  return await uncarry(carried.state);
}

/** A run that cannot return its result would stay open: it names the node with the largest output instead. */
function guardResult(outputs: NodeOutputs): void {
  const sizes = Object.entries(outputs).map(([id, output]) => ({ id, sizeBytes: jsonBytes(output) ?? 0 }));
  const [largest] = sizes.sort((a, b) => b.sizeBytes - a.sizeBytes);
  const most = `the largest output is that of ${largest?.id}, ${largest?.sizeBytes} bytes`;
  guardPayload(`The result of the pipeline, the outputs of all nodes (${most}),`, outputs, MAX_RESULT_BYTES);
}
