/**
 * Escada's workflows for a host's own workflow bundle: `export * from 'escada/workflow';` among the host's workflows.
 * Safe in Temporal's sandbox. The catch-all for unknown types stays out: a host may have one of its own.
 */
export { adaptModel, runPipeline, trainModel } from './workflows/index.ts';
