import { setCurrentDetails } from '@temporalio/workflow';
import type { MeasuredCandidate } from '../../schemas/outcome/candidate.ts';
import type { Usage } from '../../schemas/outcome/usage.ts';
import type { DecisionRecord, PathStep, Progress } from '../../schemas/outcome/decision.ts';
import type { Finalist, JudgeRungResult } from '../../schemas/plan/control-activities.ts';
import type { ApprovalRecord } from '../../schemas/outcome/approval.ts';
import type { Facts, FactValue, Flowchart } from '../../schemas/spec/flowchart.ts';
import type { StepResult } from '../../schemas/plan/pipeline-plan.ts';
import type { StepObserver } from '../pipeline/plan-run.ts';
import { Approvals } from '../shared/approvals.ts';
import { Continuation } from '../shared/continuation.ts';
import { renderDashboard } from '../shared/dashboard.ts';
import { atStart, type Position } from './position.ts';
import { WorkClock, type ClockReading } from './work-clock.ts';

/** Tokens of prompts, answers and trainings. */
const tokensOf = ({ promptTokens, completionTokens, trainingTokens }: Usage): number =>
  promptTokens + completionTokens + trainingTokens;

/** What one run hands to the next of what is known and shown. */
export interface Snapshot {
  readonly shown: Pick<LadderState, 'phase' | 'rung' | 'best' | 'tried' | 'tokensSpent' | 'costUsd'>;
  readonly facts: Facts;
  readonly decisions: readonly DecisionRecord[];
  readonly finalists: readonly Finalist[];
  readonly path: readonly PathStep[];
  readonly records: readonly ApprovalRecord[];
  readonly finished: Progress['finished'];
  readonly clock: ClockReading;
}

/** Everything a ladder knows so far; queries and the dashboard read it. */
export class LadderState implements StepObserver {
  #clock = new WorkClock();
  /** How far the adaptation is. */
  position = atStart();
  phase: Progress['phase'] = 'compile';
  rung: string | null = null;
  budgetSeconds = 0;
  target: number | null = null;
  flowchart: Flowchart | null = null;
  best: MeasuredCandidate | null = null;
  tried = 0;
  /** Tokens that steps passed through the model; cached results cost nothing. */
  tokensSpent = 0;
  /** US dollars that providers charged for steps; null where none charged anything. */
  costUsd: number | null = null;
  /** Called after every step. */
  onSpent: () => void = () => undefined;
  readonly facts: Record<string, FactValue> = {};
  readonly decisions: DecisionRecord[] = [];
  readonly finalists: Finalist[] = [];
  readonly path: PathStep[] = [];
  readonly approvals = new Approvals(() => {
    this.#clock.waiting = this.approvals.waiting().length > 0;
    this.publish();
  });
  readonly continuation = new Continuation(() => this.approvals.asking);
  readonly #running: string[] = [];
  readonly #finished: { node: string; seconds: number; cached: boolean }[] = [];

  /** Seconds that count against the budget: waiting for a person costs nothing. */
  secondsElapsed(): number {
    return this.#clock.seconds;
  }

  waitsForPerson(): boolean {
    return this.#clock.waiting;
  }

  /** Adds how a rung ended. */
  record(record: DecisionRecord): void {
    this.decisions.push(record);
    this.publish();
  }

  /** Adds a rung that was measured: its record, its finalist, its facts. */
  measured({ record, candidate, leads }: JudgeRungResult, order: number | null): void {
    this.tried = record.tried;
    // A chart may try a rung twice, with the same candidate.
    if (!this.finalists.some((one) => one.candidate.id === candidate.id))
      this.finalists.push({ candidate, order });
    if (leads) {
      this.best = candidate;
      Object.assign(this.facts, { 'best.value': record.value, 'best.low': record.correctedLow });
    }
    this.facts[`rungs.${record.rung}.value`] = record.value;
    this.facts[`rungs.${record.rung}.low`] = record.correctedLow;
    this.record(record);
  }

  enter(phase: Progress['phase'], rung: string | null = null): void {
    this.phase = phase;
    this.rung = rung;
    this.publish();
  }

  started(activityId: string): void {
    this.#running.push(activityId);
    this.publish();
  }

  finished(activityId: string, result: StepResult): void {
    this.#running.splice(this.#running.indexOf(activityId), 1);
    this.#finished.push({ node: activityId, seconds: result.seconds, cached: result.cached });
    if (!result.cached && result.usage !== null) this.#spend(result.usage);
    this.publish();
    this.onSpent();
  }

  #spend(usage: Usage): void {
    this.tokensSpent += tokensOf(usage);
    if (usage.costUsd !== undefined) this.costUsd = (this.costUsd ?? 0) + usage.costUsd;
  }

  /** A plan that has ended, whichever way, leaves nothing running, and results that nobody asks for again. */
  endPlan(): void {
    this.#running.length = 0;
    this.position.results = {};
  }

  /** For the run that continues this one, which has nothing running by then. */
  snapshot(): Snapshot {
    const { phase, rung, best, tried, tokensSpent, costUsd, facts, decisions, finalists, path } = this;
    const shown = { phase, rung, best, tried, tokensSpent, costUsd };
    const { records } = this.approvals;
    const lists = { decisions, finalists, path, records, finished: this.#finished };
    return { shown, facts, ...lists, clock: this.#clock.reading };
  }

  /** Takes up what the run before has known. */
  restore(snapshot: Snapshot, position: Position): void {
    const { shown, facts, decisions, finalists, path, records, finished, clock } = snapshot;
    Object.assign(this, shown);
    Object.assign(this.facts, facts);
    this.decisions.push(...decisions);
    this.finalists.push(...finalists);
    this.path.push(...path);
    this.approvals.restore(records);
    this.#finished.push(...finished);
    this.#clock = new WorkClock(clock);
    this.position = position;
    this.publish();
  }

  progress(): Progress {
    return {
      phase: this.phase,
      rung: this.rung,
      running: [...this.#running],
      finished: [...this.#finished],
      secondsElapsed: this.secondsElapsed(),
      budgetSeconds: this.budgetSeconds,
      approvals: this.approvals.waiting(),
    };
  }

  publish(): void {
    const { path, flowchart } = this;
    const approvals = this.approvals.waiting();
    const extras = { path, flowchart, approvals };
    setCurrentDetails(renderDashboard(this.progress(), this.decisions, this.target, extras));
  }
}
