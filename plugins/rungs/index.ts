import { z } from 'zod';
import { PACKAGE_VERSION } from '../sdk/package-version.ts';
import { PLUGIN_API_VERSION, type PluginV1 } from '../sdk/contracts/plugin.ts';
import { iclRung } from './icl.ts';
import { peftRung } from './peft.ts';
import { ragRung } from './rag.ts';
import { zeroShotRung } from './zero-shot.ts';

/** The rungs zero-shot, icl, rag and peft. */
export const rungsPlugin: PluginV1 = {
  name: 'rungs',
  version: PACKAGE_VERSION,
  apiVersion: PLUGIN_API_VERSION,
  needs: ['retrieval', 'curation'],
  optionsSchema: z.strictObject({}),
  register: (registrar) => {
    for (const rung of [zeroShotRung, iclRung, ragRung, peftRung]) registrar.addRung(rung);
  },
  close: async () => undefined,
};
