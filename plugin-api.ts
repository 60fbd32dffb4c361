/** The contracts that a plugin fulfils, with the failures it may throw. */
export type * from './plugins/api/artifact-store.ts';
export { EscadaFailure, isEscadaFailure } from './plugins/api/failure.ts';
export type * from './plugins/api/language-model.ts';
export { literal } from './plugins/api/literal.ts';
export type * from './plugins/api/metric.ts';
export { PLUGIN_API_VERSION, type PluginRegistrar, type PluginV1 } from './plugins/api/plugin.ts';
export type * from './plugins/api/retriever.ts';
export type * from './plugins/api/rung.ts';
export type * from './plugins/api/step-kind.ts';
export { DEFAULT_STALL_TIMEOUT_MS, MIN_HEARTBEAT_TIMEOUT_MS } from './plugins/api/step-kind.ts';
export type * from './plugins/api/trainer.ts';
