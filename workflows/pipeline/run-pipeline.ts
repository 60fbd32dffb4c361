import { setCurrentDetails } from '@temporalio/workflow';
import { MAX_DASHBOARD_BYTES } from '../../schemas/common/constants.ts';
import type { JsonValue } from '../../schemas/common/json.ts';
import { approvalLines } from '../adapt/dashboard.ts';
import { utf8Bytes } from '../adapt/dashboard-text.ts';
import { control } from '../adapt/control.ts';
import { Approvals } from '../shared/approvals.ts';
import { surface } from '../shared/surface.ts';
import { runPlan, type StepObserver } from './interpreter.ts';

type Outputs = { readonly [node: string]: JsonValue };

/** Approvals shown with their JSON at once. */
const SHOWN_APPROVALS = 3;

/** Runs a user's own pipeline and returns every node's output by id. */
export async function runPipeline(spec: unknown): Promise<Outputs> {
  const board = new PipelineBoard();
  board.approvals.listen();
  try {
    const { plan, inputs } = await control.compilePipelineSpec({ spec: spec ?? null });
    return await runPlan({ plan, inputs, prefix: 'pipeline', observer: board, approvals: board.approvals });
  } catch (error) {
    throw surface(error);
  }
}

/** What the Temporal UI shows of a pipeline: what waits for a person, and its steps, newest last. */
class PipelineBoard implements StepObserver {
  readonly approvals = new Approvals(() => this.#publish());
  readonly #steps = new Map<string, string>();

  started(id: string): void {
    this.#steps.set(id, `- \`${id}\` running`);
    this.#publish();
  }

  finished(id: string, result: { readonly cached: boolean; readonly seconds: number }): void {
    this.#steps.set(id, `- \`${id}\` ${result.cached ? 'cached' : `${result.seconds.toFixed(1)} s`}`);
    this.#publish();
  }

  #publish(): void {
    const lines = [...approvalLines(this.approvals.waiting(), SHOWN_APPROVALS), '', ...this.#steps.values()];
    let text = lines.join('\n');
    // The oldest steps are the least of interest.
    for (let hidden = 1; utf8Bytes(text) > MAX_DASHBOARD_BYTES && hidden < this.#steps.size; hidden += 1) {
      const steps = [`- … ${hidden} earlier ones`, ...[...this.#steps.values()].slice(hidden)];
      text = [...approvalLines(this.approvals.waiting(), 1), '', ...steps].join('\n');
    }
    setCurrentDetails(text.trim());
  }
}
