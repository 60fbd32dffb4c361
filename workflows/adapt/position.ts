import type { ScoredFinalist } from '../../schemas/plan/control-activities.ts';
import type { TestResult } from '../../schemas/outcome/decision.ts';
import type { Verdict } from '../../schemas/spec/flowchart.ts';
import type { JsonValue } from '../../schemas/common/json.ts';
import type { NodeOutputs } from '../shared/plan-border.ts';

/** How far an adaptation is: where a run that continues it takes it up. */
export interface Position {
  /** Outputs of the curation; null while it runs. */
  curation: NodeOutputs | null;
  /** Node of the flowchart; null before the first. */
  node: string | null;
  /** When the rung of that node began, in milliseconds since 1970; null when none is running. */
  rungStartedMs: number | null;
  /** How the walk through the flowchart ended. */
  reached: Verdict | null;
  /** Finalists that have been scored on test, or could not be. */
  readonly scored: ScoredFinalist[];
  readonly notScored: TestResult['failed'][number][];
  /** Outputs of finished steps of the plan that is running, by activity id. */
  results: Record<string, JsonValue>;
}

/** The position of an adaptation that has not begun. */
export const atStart = (): Position => ({
  curation: null,
  node: null,
  rungStartedMs: null,
  reached: null,
  scored: [],
  notScored: [],
  results: {},
});
