/** The contracts that a plugin fulfils, with the failures it may throw. */
export type * from './plugins/sdk/contracts/artifact-store.ts';
export { EscadaFailure, isEscadaFailure } from './plugins/sdk/contracts/failure.ts';
export type * from './plugins/sdk/contracts/language-model.ts';
export { literal } from './plugins/sdk/contracts/literal.ts';
export type * from './plugins/sdk/contracts/metric.ts';
export { PLUGIN_API_VERSION, type PluginRegistrar, type PluginV1 } from './plugins/sdk/contracts/plugin.ts';
export type * from './plugins/sdk/contracts/retriever.ts';
export type * from './plugins/sdk/contracts/rung.ts';
export type * from './plugins/sdk/contracts/step-kind.ts';
export { DEFAULT_STALL_TIMEOUT_MS, MIN_HEARTBEAT_TIMEOUT_MS } from './plugins/sdk/contracts/step-kind.ts';
export type * from './plugins/sdk/contracts/trainer.ts';
