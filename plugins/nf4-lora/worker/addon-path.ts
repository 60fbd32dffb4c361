import { PACKAGE_ROOT } from '../../sdk/package-paths.ts';

/** Place of the native engine after a build; set-up (`runtime/bootstrap/engine.mjs`) puts it there. */
export const BUILT_ADDON = `${PACKAGE_ROOT}plugins/nf4-lora/engine/node/escada-engine.node`;
