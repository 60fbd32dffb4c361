import { setCurrentDetails } from '@temporalio/workflow';
import type { JsonValue } from '../../schemas/common/json.ts';
import { control } from '../adapt/control.ts';
import { runPlan } from './interpreter.ts';

/** Runs a user's own pipeline and returns every node's output by id. */
export async function runPipeline(spec: unknown): Promise<{ readonly [node: string]: JsonValue }> {
  const { plan, inputs } = await control.compilePipelineSpec({ spec: spec ?? null });
  const lines: string[] = [];
  return await runPlan({
    plan,
    inputs,
    prefix: 'pipeline',
    observer: {
      started: (id) => setCurrentDetails([...lines, `- \`${id}\` running`].join('\n')),
      finished: (id, result) => {
        lines.push(`- \`${id}\` ${result.cached ? 'cached' : `${result.seconds.toFixed(1)} s`}`);
        setCurrentDetails(lines.join('\n'));
      },
    },
  });
}
