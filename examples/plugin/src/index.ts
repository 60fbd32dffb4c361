/** The plugin: the default export is what `escada.config.json` names. A function, so that every host gets one of its own. */
import { PLUGIN_API_VERSION, type PluginV1 } from 'escada/plugin-api';
import { dropLongAnswers } from './drop-long-answers.ts';
import { failureCodes, NAME, VERSION } from './failures.ts';
import { firstWordMetric } from './first-word-metric.ts';
import { hintsRung } from './hints-rung.ts';
import { nearestRowProvider } from './nearest-row-provider.ts';
import { optionsSchema } from './options.ts';

export default function createPlugin(): PluginV1 {
  return {
    name: NAME,
    version: VERSION,
    apiVersion: PLUGIN_API_VERSION,
    needs: ['rungs'],
    optionsSchema,
    failureCodes,
    register: (registrar, given) => {
      const options = optionsSchema.parse(given);
      registrar.addLanguageModelProvider(nearestRowProvider(options));
      registrar.addRung(hintsRung);
      registrar.addStepKind(dropLongAnswers);
      registrar.addMetric(firstWordMetric);
    },
    close: async () => undefined,
  };
}
