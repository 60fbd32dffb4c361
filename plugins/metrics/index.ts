import { z } from 'zod';
import { PACKAGE_VERSION } from '../sdk/package-version.ts';
import { PLUGIN_API_VERSION, type PluginV1 } from '../sdk/contracts/plugin.ts';
import { METRIC_FACTORIES } from './worker/factories.ts';
import { besideTheLoop } from './worker/beside-the-loop.ts';

/** Options of the plugin; all have defaults. */
export const metricsOptionsSchema = z.strictObject({
  /** Longest time that one row may take; only a pattern that backtracks, or a row of megabytes, takes long. */
  rowTimeoutMs: z.int().min(100).max(600_000).default(10_000),
});

/** The metrics that compare an answer with its reference or with rules, none of which needs a model. */
export const metricsPlugin: PluginV1 = {
  name: 'metrics',
  version: PACKAGE_VERSION,
  apiVersion: PLUGIN_API_VERSION,
  needs: [],
  optionsSchema: metricsOptionsSchema,
  register: (registrar, options) => {
    const { rowTimeoutMs } = metricsOptionsSchema.parse(options);
    for (const factory of METRIC_FACTORIES) registrar.addMetric(besideTheLoop(factory, rowTimeoutMs));
  },
  close: async () => undefined,
};
