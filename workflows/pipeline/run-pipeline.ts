import { setCurrentDetails } from '@temporalio/workflow';
import type { JsonValue } from '../../schemas/common/json.ts';
import { control } from '../adapt/control.ts';
import { surface } from '../shared/surface.ts';
import { runPlan } from './interpreter.ts';

type Outputs = { readonly [node: string]: JsonValue };

/** Runs a user's own pipeline and returns every node's output by id. */
export async function runPipeline(spec: unknown): Promise<Outputs> {
  try {
    return await run(spec);
  } catch (error) {
    throw surface(error);
  }
}

async function run(spec: unknown): Promise<Outputs> {
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
