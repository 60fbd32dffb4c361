import { PLUGIN_API_VERSION } from '../api/plugin.ts';
import type { PluginV1 } from '../api/plugin.ts';
import type { StepKindV1 } from '../api/step-kind.ts';
import { STANDARD_PIPELINE } from './contract.ts';
import { curationOptionsSchema } from './options.ts';
import { standardPipeline } from './standard-pipeline.ts';
import { exactDedupeKind } from './worker/exact-dedupe.ts';
import { normaliseKind } from './worker/normalise.ts';
import { nullFilterKind } from './worker/null-filter.ts';
import { readKind } from './worker/read.ts';
import { splitKind } from './worker/split.ts';
import { tokenFilterKind } from './worker/token-filter.ts';

/** Brings the step kinds `curate.*@1` and the pipeline `standard`. */
export const curationPlugin: PluginV1 = {
  name: 'curation',
  apiVersion: PLUGIN_API_VERSION,
  needs: [],
  optionsSchema: curationOptionsSchema,
  register(registrar, given) {
    const options = curationOptionsSchema.parse(given ?? {});
    const makers = [readKind, nullFilterKind, normaliseKind, exactDedupeKind, tokenFilterKind, splitKind];
    // The registrar takes kinds of any input: each checks its own before it runs.
    for (const make of makers) registrar.addStepKind(make(options) as unknown as StepKindV1<never>);
    registrar.addPipeline(STANDARD_PIPELINE, standardPipeline);
  },
  close: async () => undefined,
};
