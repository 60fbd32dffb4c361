import { setHandler, defineQuery, workflowInfo } from '@temporalio/workflow';
import type {
  AdaptationOutcome,
  Decision,
  DecisionRecord,
  Progress,
  TestResult,
} from '../../schemas/outcome/candidate.ts';
import type { AdaptationPlan } from '../../schemas/plan/adaptation-plan.ts';
import { QUERY_DECISIONS, QUERY_PROGRESS } from '../../schemas/plan/constants.ts';
import type { JsonObject, JsonValue } from '../../schemas/common/json.ts';
import { runPlan } from '../pipeline/interpreter.ts';
import { guardSpec } from '../shared/payload.ts';
import { requireVersion } from '../shared/plan-version.ts';
import { outputOf, toJson, type NodeOutputs } from '../shared/plan-border.ts';
import { unwrapFailure } from '../shared/unwrap-failure.ts';
import { establishFacts, runLadder } from './run-ladder.ts';
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
 */
export async function adaptModel(spec: unknown): Promise<AdaptationOutcome> {
  const state = new LadderState();
  setHandler(progressQuery, () => state.progress(), {
    description: 'Phase, rung, running and finished steps',
  });
  setHandler(decisionsQuery, () => state.decisions, { description: 'Decision record of every rung so far' });
  state.approvals.listen();
  try {
    return await adapt(spec, state);
  } catch (error) {
    const cancelled = runCancelled();
    state.enter(cancelled ? 'cancelled' : 'failed');
    throw cancelled ? asCancellation(error) : unwrapFailure(error);
  }
}

async function adapt(rawSpec: unknown, state: LadderState): Promise<AdaptationOutcome> {
  state.enter('compile');
  guardSpec(rawSpec);
  const { plan, artifact } = await control.compileSpec({ spec: rawSpec ?? null });
  requireVersion('The plan of this adaptation', plan);
  state.budgetSeconds = plan.spec.budget.seconds;
  state.target = plan.spec.target;
  state.flowchart = plan.flowchart;
  const curation = await curate(plan, state);
  const split = splitOf(curation);
  establishFacts(plan, state);
  const reached = await runLadder(plan, { train: split['train'] ?? null, dev: split['dev'] ?? null }, state);
  if (state.finalists.length === 0) throw nothingMeasured(plan, reached, state);
  const { decision: found, test } = await scoreFinalists(plan, split, reached, state);
  const decision = await release(found, test, plan, state);
  state.enter('report');
  const seconds = state.secondsElapsed();
  const { workflowId } = workflowInfo();
  const { decisions: rungs, path, facts } = state;
  const candidates = state.finalists.map((finalist) => finalist.candidate);
  const approvals = state.approvals.records;
  const shared = { workflowId, decision, rungs, test, path, facts, seconds, approvals };
  const report = await control.writeReport({ ...shared, plan: artifact, curation, candidates });
  state.enter('done');
  return { ...shared, report };
}

async function curate(plan: AdaptationPlan, state: LadderState): Promise<NodeOutputs> {
  state.enter('curate');
  return await runPlan({
    plan: plan.curation,
    inputs: plan.curationInputs,
    prefix: 'curate',
    observer: state,
    approvals: state.approvals,
  });
}

/** Train, dev and test. A node `train` after the split (balanced or paraphrased rows) replaces its training rows. */
function splitOf(curation: NodeOutputs): JsonObject {
  const split = outputOf<JsonObject>(curation, 'split');
  if (curation['train'] === undefined) return split;
  const { dataset } = outputOf<{ readonly dataset: JsonValue }>(curation, 'train');
  return { ...split, train: dataset };
}

/** Asks, where the plan has a gate, whether the winner may be released. A no changes the verdict, not what was found. */
async function release(
  decision: Decision,
  test: TestResult,
  plan: AdaptationPlan,
  state: LadderState,
): Promise<Decision> {
  if (plan.releaseGate === undefined) return decision;
  state.enter('approve');
  const { verdict, by, comment } = await state.approvals.ask({
    id: 'release',
    title: `Release ${decision.candidateId} (${decision.verdict})`,
    subject: toJson({ specDigest: plan.specDigest, decision, test }),
    timeoutSeconds: plan.releaseGate.timeoutSeconds,
  });
  if (verdict === 'approve') return decision;
  const who =
    verdict === 'timed-out'
      ? 'Nobody approved the release in time.'
      : `Release rejected${by === '' ? '' : ` by ${by}`}.`;
  return {
    ...decision,
    verdict: 'release-rejected',
    reason: [decision.reason, who, comment].filter((text) => text !== '').join(' '),
  };
}
