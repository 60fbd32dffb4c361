import { z } from 'zod';
import { fileStoreFactory } from '../../core/store/file-store.ts';
import { PACKAGE_VERSION } from '../sdk/package-version.ts';
import { PLUGIN_API_VERSION, type PluginV1 } from '../sdk/contracts/plugin.ts';
import { rungResult } from './evaluate/rung-result.ts';
import { scorePredictions } from './evaluate/score-predictions.ts';
import { selectLowest } from './evaluate/select-lowest.ts';
import { answerLoss } from './llm/answer-loss.ts';
import { exportModel } from './llm/export-model.ts';
import { fittingRecipes } from './llm/fitting-recipes.ts';
import { generateAnswers } from './llm/generate-answers.ts';
import { buildIndex } from './retrieve/build-index.ts';
import { measureRecall } from './retrieve/measure-recall.ts';
import { trainAdapter } from './train/train-adapter.ts';
import { trainFull } from './train/train-full.ts';

/** The store on a local disk, and the step kinds that every rung builds on; they know contracts only, never a named plugin. */
export const corePlugin: PluginV1 = {
  name: 'core',
  version: PACKAGE_VERSION,
  apiVersion: PLUGIN_API_VERSION,
  needs: [],
  optionsSchema: z.strictObject({}),
  register: (registrar) => {
    registrar.addArtifactStore(fileStoreFactory);
    registrar.addStepKind(generateAnswers);
    registrar.addStepKind(fittingRecipes);
    registrar.addStepKind(answerLoss);
    registrar.addStepKind(exportModel);
    registrar.addStepKind(buildIndex);
    registrar.addStepKind(measureRecall);
    registrar.addStepKind(trainAdapter);
    registrar.addStepKind(trainFull);
    registrar.addStepKind(scorePredictions);
    registrar.addStepKind(selectLowest);
    registrar.addStepKind(rungResult);
  },
  close: async () => undefined,
};
