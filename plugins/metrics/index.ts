import { z } from 'zod';
import { PLUGIN_API_VERSION, type PluginV1 } from '../api/plugin.ts';
import { chrfMetric } from './worker/chrf.ts';
import { containsMetric } from './worker/contains.ts';
import { exactMatchMetric } from './worker/exact-match.ts';
import { tokenF1Metric } from './worker/token-f1.ts';
import { voiceRulesMetric } from './worker/voice-rules.ts';

/** The metrics that compare an answer with its reference or with rules, none of which needs a model. */
export const metricsPlugin: PluginV1 = {
  name: 'metrics',
  apiVersion: PLUGIN_API_VERSION,
  needs: [],
  optionsSchema: z.strictObject({}),
  register: (registrar) => {
    for (const metric of [chrfMetric, containsMetric, exactMatchMetric, tokenF1Metric, voiceRulesMetric]) {
      registrar.addMetric(metric);
    }
  },
  close: async () => undefined,
};
