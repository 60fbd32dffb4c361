/** What a run of an adaptation hands to the run that continues it. */
import type { ArtifactRef } from '../../schemas/common/artifact-ref.ts';
import type { AdaptationPlan } from '../../schemas/plan/adaptation-plan.ts';
import { INTERPRETER_VERSION } from '../../schemas/plan/constants.ts';
import { carry, MAX_SHOWN_BYTES, uncarry, type Carried } from '../shared/carried-parts.ts';
import { requireVersion } from '../shared/plan-version.ts';
import type { Position } from './position.ts';
import type { LadderState, Snapshot } from './state.ts';

/** The plan and where it is stored. */
export interface CompiledAdaptation {
  readonly plan: AdaptationPlan;
  readonly artifact: ArtifactRef;
}

export interface CarriedAdaptation {
  readonly interpreterVersion: number;
  readonly compiled: Carried<CompiledAdaptation>;
  readonly position: Carried<Position>;
  readonly snapshot: Carried<Snapshot>;
}

/** Makes the state ready for the next run. */
export async function handOver(compiled: CompiledAdaptation, state: LadderState): Promise<CarriedAdaptation> {
  return {
    interpreterVersion: INTERPRETER_VERSION,
    compiled: await carry(compiled),
    position: await carry(state.position),
    snapshot: await carry(state.snapshot(), MAX_SHOWN_BYTES),
  };
}

/** Takes up where the run before has stopped. What is shown comes first: usually it is there before any query is answered. */
export async function takeUp(carried: CarriedAdaptation, state: LadderState): Promise<CompiledAdaptation> {
  requireVersion('The state of the run before', carried);
  state.restore(await uncarry(carried.snapshot), await uncarry(carried.position));
  return await uncarry(carried.compiled);
}
