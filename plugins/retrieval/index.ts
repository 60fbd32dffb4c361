import { z } from 'zod';
import { PACKAGE_VERSION } from '../sdk/package-version.ts';
import { PLUGIN_API_VERSION } from '../sdk/contracts/plugin.ts';
import type { PluginV1 } from '../sdk/contracts/plugin.ts';
import { lexicalRetriever } from './worker/lexical-retriever.ts';

/** Brings the retriever `lexical`. */
export const retrievalPlugin: PluginV1 = {
  name: 'retrieval',
  version: PACKAGE_VERSION,
  apiVersion: PLUGIN_API_VERSION,
  needs: [],
  optionsSchema: z.strictObject({}),
  register(registrar) {
    registrar.addRetriever(lexicalRetriever);
  },
  close: async () => undefined,
};
