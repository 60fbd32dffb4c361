import { setCurrentDetails } from '@temporalio/workflow';
import { MAX_DASHBOARD_BYTES } from '../../schemas/plan/constants.ts';
import { utf8Bytes } from '../../schemas/common/plain-text.ts';
import { Approvals } from '../shared/approvals.ts';
import { approvalLines } from '../shared/dashboard.ts';
import { code } from '../shared/dashboard-text.ts';
import type { StepObserver } from './plan-run.ts';

/** Approvals shown with their JSON at once. */
const SHOWN_APPROVALS = 3;

/** Room for the line that says how many steps are left out. */
const SPARE_BYTES = 100;

/** A step that has ended. */
export interface FinishedStep {
  readonly id: string;
  readonly seconds: number;
  readonly cached: boolean;
}

/** What the Temporal UI shows of a pipeline: pending approvals, and its steps, newest last. */
export class PipelineBoard implements StepObserver {
  readonly approvals = new Approvals(() => this.#publish());
  readonly #finished: FinishedStep[] = [];
  readonly #steps = new Map<string, string>();

  /** Steps that have ended, in all runs of the chain. */
  get finishedSteps(): readonly FinishedStep[] {
    return this.#finished;
  }

  /** Shows what runs before this one have finished. */
  restore(finished: readonly FinishedStep[]): void {
    for (const one of finished) this.#end(one);
    this.#publish();
  }

  started(id: string): void {
    this.#steps.set(id, `- ${code(id)} running`);
    this.#publish();
  }

  finished(id: string, { seconds, cached }: Omit<FinishedStep, 'id'>): void {
    this.#end({ id, seconds, cached });
    this.#publish();
  }

  #end(step: FinishedStep): void {
    this.#finished.push(step);
    this.#steps.set(step.id, `- ${code(step.id)} ${step.cached ? 'cached' : `${step.seconds.toFixed(1)} s`}`);
  }

  #publish(): void {
    const asked = approvalLines(this.approvals.waiting(), SHOWN_APPROVALS).join('\n');
    const steps = newest([...this.#steps.values()], MAX_DASHBOARD_BYTES - utf8Bytes(asked) - SPARE_BYTES);
    setCurrentDetails([asked, steps.join('\n')].filter((part) => part !== '').join('\n\n'));
  }
}

/** As many of the last lines as fit, and how many are left out: the oldest steps are the least of interest. */
function newest(lines: readonly string[], maxBytes: number): string[] {
  const shown: string[] = [];
  let sizeBytes = 0;
  for (const line of lines.toReversed()) {
    sizeBytes += utf8Bytes(line) + 1;
    if (sizeBytes > maxBytes) break;
    shown.push(line);
  }
  const hidden = lines.length - shown.length;
  return [...(hidden === 0 ? [] : [`- … ${hidden} earlier ones`]), ...shown.reverse()];
}
