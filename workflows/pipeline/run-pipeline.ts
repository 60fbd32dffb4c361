import { setCurrentDetails } from '@temporalio/workflow';
import { MAX_DASHBOARD_BYTES, MAX_RESULT_BYTES } from '../../schemas/plan/constants.ts';
import { approvalLines } from '../shared/dashboard.ts';
import { code } from '../shared/dashboard-text.ts';
import { asCancellation, runCancelled } from '../shared/step-failure.ts';
import { control } from '../shared/control-activities.ts';
import { Approvals } from '../shared/approvals.ts';
import { guardPayload, guardSpec, jsonBytes } from '../shared/payload.ts';
import { unwrapFailure } from '../shared/unwrap-failure.ts';
import { utf8Bytes } from '../../schemas/common/plain-text.ts';
import type { NodeOutputs } from '../shared/plan-border.ts';
import { runPlan, type StepObserver } from './interpreter.ts';

/** Approvals shown with their JSON at once. */
const SHOWN_APPROVALS = 3;

/** Room for the line that says how many steps are left out. */
const SPARE_BYTES = 100;

/** Runs a user's own pipeline and returns every node's output by id. */
export async function runPipeline(spec: unknown): Promise<NodeOutputs> {
  const board = new PipelineBoard();
  board.approvals.listen();
  try {
    guardSpec(spec);
    const { plan, inputs } = await control.compilePipelineSpec({ spec: spec ?? null });
    const { approvals } = board;
    const outputs = await runPlan({ plan, inputs, prefix: 'pipeline', observer: board, approvals });
    guardResult(outputs);
    return outputs;
  } catch (error) {
    throw runCancelled() ? asCancellation(error) : unwrapFailure(error);
  }
}

/** A run that cannot return its result would stay open: it names the node with the largest output instead. */
function guardResult(outputs: NodeOutputs): void {
  const sizes = Object.entries(outputs).map(([id, output]) => ({ id, sizeBytes: jsonBytes(output) ?? 0 }));
  const [largest] = sizes.sort((a, b) => b.sizeBytes - a.sizeBytes);
  const most = `the largest output is that of ${largest?.id}, ${largest?.sizeBytes} bytes`;
  guardPayload(`The result of the pipeline, the outputs of all nodes (${most}),`, outputs, MAX_RESULT_BYTES);
}

/** What the Temporal UI shows of a pipeline: what waits for a person, and its steps, newest last. */
class PipelineBoard implements StepObserver {
  readonly approvals = new Approvals(() => this.#publish());
  readonly #steps = new Map<string, string>();

  started(id: string): void {
    this.#steps.set(id, `- ${code(id)} running`);
    this.#publish();
  }

  finished(id: string, result: { readonly cached: boolean; readonly seconds: number }): void {
    this.#steps.set(id, `- ${code(id)} ${result.cached ? 'cached' : `${result.seconds.toFixed(1)} s`}`);
    this.#publish();
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
