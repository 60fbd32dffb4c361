import type { PipelineSpecInput } from '../../schemas/pipeline/pipeline-spec.ts';
import { CURATION_KINDS } from './contract.ts';

const outputOf = (node: string, field: string): string => `\${nodes.${node}.output.${field}}`;
const input = (name: string): string => `\${inputs.${name}}`;

/** What a step passed on, for the split's manifest and for its message when too little is left. */
const funnelEntry = (node: string) => ({
  step: node,
  rows: outputOf(node, 'rows'),
  dropped: outputOf(node, 'dropped'),
  dataset: outputOf(node, 'dataset'),
});

const step = (id: string, uses: string, options: Record<string, unknown>) => ({
  id,
  form: 'step' as const,
  uses,
  with: options as never,
});

/** read → null-filter → normalise → exact-dedupe → token-filter → split. */
export const standardPipeline: PipelineSpecInput = {
  name: 'standard curation',
  nodes: [
    step('read', CURATION_KINDS.read, { source: input('source'), columns: input('columns') }),
    step('null-filter', CURATION_KINDS.nullFilter, { dataset: outputOf('read', 'dataset') }),
    step('normalise', CURATION_KINDS.normalise, { dataset: outputOf('null-filter', 'dataset') }),
    step('exact-dedupe', CURATION_KINDS.exactDedupe, { dataset: outputOf('normalise', 'dataset') }),
    step('token-filter', CURATION_KINDS.tokenFilter, {
      dataset: outputOf('exact-dedupe', 'dataset'),
      model: input('model'),
      task: input('task'),
      maxPromptTokens: input('maxPromptTokens'),
      maxAnswerTokens: input('maxAnswerTokens'),
    }),
    step('split', CURATION_KINDS.split, {
      dataset: outputOf('token-filter', 'dataset'),
      sizes: input('sizes'),
      seed: input('seed'),
      lineage: {
        sourceSha256: outputOf('read', 'sourceSha256'),
        steps: ['read', 'null-filter', 'normalise', 'exact-dedupe', 'token-filter'].map(funnelEntry),
      },
    }),
  ],
};
