/** Names of the curation step kinds. Pure: pipelines and tests may use them without loading what runs. */
export const CURATION_KINDS = {
  read: 'curate.read@1',
  nullFilter: 'curate.null-filter@1',
  normalise: 'curate.normalise@1',
  normaliseOutput: 'curate.normalise-output@1',
  exactDedupe: 'curate.exact-dedupe@1',
  nearDedupe: 'curate.near-dedupe@1',
  tokenFilter: 'curate.token-filter@1',
  stratifiedSample: 'curate.stratified-sample@1',
  balance: 'curate.balance@1',
  paraphrase: 'curate.paraphrase@1',
  split: 'curate.split@1',
  decontaminate: 'curate.decontaminate@1',
} as const;

export type CurationKind = (typeof CURATION_KINDS)[keyof typeof CURATION_KINDS];

/** Name under which the usual chain of these steps is registered. */
export const STANDARD_PIPELINE = 'standard';

/** `standard` with normalised outputs and without near duplicates. */
export const THOROUGH_PIPELINE = 'thorough';
