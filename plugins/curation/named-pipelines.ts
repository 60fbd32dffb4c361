import type { PipelineSpecInput } from '../../schemas/spec/pipeline-spec.ts';
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

/** A step between reading and splitting: its node id, its kind, and what it is given beside the dataset. */
interface Link {
  readonly id: string;
  readonly uses: string;
  readonly options?: Record<string, unknown>;
}

const step = ({ id, uses, options }: Link) => ({ id, form: 'step' as const, uses, with: options as never });

/** Chains steps: each takes the dataset of the one before it. */
function chain(name: string, links: readonly Link[]): PipelineSpecInput {
  const ids = ['read', ...links.map(({ id }) => id)];
  const read = { source: input('source'), columns: input('columns') };
  return {
    name,
    nodes: [
      step({ id: 'read', uses: CURATION_KINDS.read, options: read }),
      ...links.map((link, index) =>
        step({ ...link, options: { dataset: outputOf(ids[index] ?? '', 'dataset'), ...link.options } }),
      ),
      step({
        id: 'split',
        uses: CURATION_KINDS.split,
        options: {
          dataset: outputOf(ids.at(-1) ?? '', 'dataset'),
          sizes: input('sizes'),
          seed: input('seed'),
          lineage: { sourceSha256: outputOf('read', 'sourceSha256'), steps: ids.map(funnelEntry) },
        },
      }),
    ],
  };
}

const nullFilter: Link = { id: 'null-filter', uses: CURATION_KINDS.nullFilter };
const normalise: Link = { id: 'normalise', uses: CURATION_KINDS.normalise };
const exactDedupe: Link = { id: 'exact-dedupe', uses: CURATION_KINDS.exactDedupe };
const tokenFilter: Link = {
  id: 'token-filter',
  uses: CURATION_KINDS.tokenFilter,
  options: {
    model: input('model'),
    task: input('task'),
    maxPromptTokens: input('maxPromptTokens'),
    maxAnswerTokens: input('maxAnswerTokens'),
    // A model that only answers may be adapted, too.
    whenUncountable: 'keep',
  },
};

/** read → null-filter → normalise → exact-dedupe → token-filter → split. */
export const standardPipeline = chain('standard curation', [nullFilter, normalise, exactDedupe, tokenFilter]);

/**
 * read → null-filter → normalise → normalise-output → exact-dedupe → near-dedupe → token-filter → split. Outputs are
 * normalised before rows are compared, so that rows that differ only in form are seen to be equal.
 */
export const thoroughPipeline = chain('thorough curation', [
  nullFilter,
  normalise,
  { id: 'normalise-output', uses: CURATION_KINDS.normaliseOutput },
  exactDedupe,
  { id: 'near-dedupe', uses: CURATION_KINDS.nearDedupe, options: { seed: input('seed') } },
  tokenFilter,
]);
