import { ContinueAsNew, continueAsNew, defineQuery, setHandler, workflowInfo } from '@temporalio/workflow';
import type { AdaptationOutcome, DecisionRecord, Progress } from '../../schemas/outcome/decision.ts';
import type { AdaptationPlan } from '../../schemas/plan/adaptation-plan.ts';
import { MAX_RESULT_BYTES, QUERY_DECISIONS, QUERY_PROGRESS } from '../../schemas/plan/constants.ts';
import type { JsonObject, JsonValue } from '../../schemas/common/json.ts';
import { handedOver, orContinue } from '../shared/continuation.ts';
import { guardPayload, guardSpec } from '../shared/payload.ts';
import { requireVersion } from '../shared/plan-version.ts';
import { outputOf, type NodeOutputs } from '../shared/plan-border.ts';
import { unwrapFailure } from '../shared/unwrap-failure.ts';
import { handOver, takeUp, type CarriedAdaptation, type CompiledAdaptation } from './carry-adaptation.ts';
import { release } from './release.ts';
import { establishFacts, runLadder } from './run-ladder.ts';
import { runSubPlan } from './try-rung.ts';
import { control } from '../shared/control-activities.ts';
import { nothingMeasured } from './nothing-measured.ts';
import { scoreFinalists } from './score-finalists.ts';
import { LadderState } from './state.ts';
import { asCancellation, runCancelled } from '../shared/step-failure.ts';

export const progressQuery = defineQuery<Progress>(QUERY_PROGRESS);
export const decisionsQuery = defineQuery<readonly DecisionRecord[]>(QUERY_DECISIONS);

/**
 * Runs the ladder for one task: compile, curate, run rungs, score the finalists once on test, decide, report. Rungs and
 * finalists that fail are recorded and leave the decision to the others; only a cancellation of the run ends it early.
 * When its history grows long the run continues as new between steps; `carried` is what one run hands to the next.
 */
export async function adaptModel(spec: unknown, carried?: CarriedAdaptation): Promise<AdaptationOutcome> {
  const state = new LadderState();
  setHandler(progressQuery, () => state.progress(), {
    description: 'Phase, rung, running and finished steps',
  });
  setHandler(decisionsQuery, () => state.decisions, { description: 'Decision record of every rung so far' });
  state.approvals.listen();
  try {
    const before = handedOver(carried);
    const compiled = before === null ? await compile(spec, state) : await takeUp(before, state);
    return await orContinue(
      async () => await adapt(compiled, state),
      async () => await continueAsNew<typeof adaptModel>(spec, await handOver(compiled, state)),
    );
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    const cancelled = runCancelled();
    state.enter(cancelled ? 'cancelled' : 'failed');
    throw cancelled ? asCancellation(error) : unwrapFailure(error);
  }
}

async function compile(spec: unknown, state: LadderState): Promise<CompiledAdaptation> {
  state.enter('compile');
  guardSpec(spec);
  const compiled = await control.compileSpec({ spec: spec ?? null });
  requireVersion('The plan of this adaptation', compiled.plan);
  return compiled;
}

async function adapt({ plan, artifact }: CompiledAdaptation, state: LadderState): Promise<AdaptationOutcome> {
  state.budgetSeconds = plan.spec.budget.seconds;
  state.target = plan.spec.target;
  state.flowchart = plan.flowchart;
  const curation = await curate(plan, state);
  const split = splitOf(curation);
  const inputs = { train: split['train'] ?? null, dev: split['dev'] ?? null };
  const reached = (state.position.reached ??= await runLadder(plan, inputs, state));
  if (state.finalists.length === 0) throw nothingMeasured(plan, reached, state);
  const { decision: measured, test } = await scoreFinalists(plan, split, reached, state);
  const decision = await release(measured, test, plan, state);
  state.enter('report');
  const seconds = state.secondsElapsed();
  const { workflowId } = workflowInfo();
  const { decisions: rungs, path, facts } = state;
  const candidates = state.finalists.map((finalist) => finalist.candidate);
  const approvals = state.approvals.records;
  const cost = state.costUsd === null ? {} : { costUsd: state.costUsd };
  const shared = { workflowId, decision, rungs, test, path, facts, seconds, ...cost, approvals };
  const report = await control.writeReport({ ...shared, plan: artifact, curation, candidates });
  const outcome = { ...shared, report };
  guardPayload('The result of the adaptation', outcome, MAX_RESULT_BYTES);
  state.enter('done');
  return outcome;
}

async function curate(plan: AdaptationPlan, state: LadderState): Promise<NodeOutputs> {
  if (state.position.curation !== null) return state.position.curation;
  state.enter('curate');
  const curation = await runSubPlan(plan.curation, plan.curationInputs, 'curate', state);
  state.endPlan();
  establishFacts(plan, state);
  return (state.position.curation = curation);
}

/** Train, dev and test. A node `train` after the split (balanced or paraphrased rows) replaces its training rows. */
function splitOf(curation: NodeOutputs): JsonObject {
  const split = outputOf<JsonObject>(curation, 'split');
  if (curation['train'] === undefined) return split;
  const { dataset } = outputOf<{ readonly dataset: JsonValue }>(curation, 'train');
  return { ...split, train: dataset };
}
