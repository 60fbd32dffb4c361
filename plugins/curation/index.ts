import { PACKAGE_VERSION } from '../sdk/package-version.ts';
import { PLUGIN_API_VERSION } from '../sdk/contracts/plugin.ts';
import type { PluginV1 } from '../sdk/contracts/plugin.ts';
import type { StepKindV1 } from '../sdk/contracts/step-kind.ts';
import { STANDARD_PIPELINE, THOROUGH_PIPELINE } from './contract.ts';
import { curationOptionsSchema } from './options.ts';
import { standardPipeline, thoroughPipeline } from './named-pipelines.ts';
import { balanceKind } from './worker/balance.ts';
import { decontaminateKind } from './worker/decontaminate.ts';
import { exactDedupeKind } from './worker/exact-dedupe.ts';
import { nearDedupeKind } from './worker/near-dedupe.ts';
import { normaliseKind } from './worker/normalise.ts';
import { normaliseOutputKind } from './worker/normalise-output.ts';
import { nullFilterKind } from './worker/null-filter.ts';
import { paraphraseKind } from './worker/paraphrase.ts';
import { readKind } from './worker/read.ts';
import { splitKind } from './worker/split.ts';
import { stratifiedSampleKind } from './worker/stratified-sample.ts';
import { tokenFilterKind } from './worker/token-filter.ts';

/** Brings the step kinds `curate.*@1` and the pipelines `standard` and `thorough`. */
export const curationPlugin: PluginV1 = {
  name: 'curation',
  version: PACKAGE_VERSION,
  apiVersion: PLUGIN_API_VERSION,
  needs: [],
  optionsSchema: curationOptionsSchema,
  register(registrar, given) {
    const options = curationOptionsSchema.parse(given ?? {});
    const makers = [
      readKind,
      nullFilterKind,
      normaliseKind,
      normaliseOutputKind,
      exactDedupeKind,
      nearDedupeKind,
      tokenFilterKind,
      stratifiedSampleKind,
      balanceKind,
      paraphraseKind,
      splitKind,
      decontaminateKind,
    ];
    // The registrar takes kinds of any input: each checks its own before it runs.
    for (const make of makers) registrar.addStepKind(make(options) as unknown as StepKindV1<never>);
    registrar.addPipeline(STANDARD_PIPELINE, standardPipeline);
    registrar.addPipeline(THOROUGH_PIPELINE, thoroughPipeline);
  },
  close: async () => undefined,
};
