/**
 * What specs, outcomes and failures are: schemas, types, error codes, settings. Loads no part of Temporal; the client,
 * the worker plugin and the workflows have entries of their own.
 */
export { readSettings, type Settings } from './activities/shared/settings.ts';
export { EscadaFailure, isEscadaFailure } from './plugins/api/failure.ts';
export * from './schemas/adapt/adaptation-spec.ts';
export type * from './schemas/adapt/candidate.ts';
export * from './schemas/adapt/flowchart.ts';
export { STANDARD_FLOWCHART } from './schemas/adapt/flowcharts.ts';
export { artifactRefSchema, type ArtifactRef } from './schemas/common/artifact-ref.ts';
export { DEFAULT_TASK_QUEUE, WORKFLOW_NAMES, type WorkflowName } from './schemas/common/constants.ts';
export { ERROR_CODES, type ErrorCode, type ErrorEntry } from './schemas/common/error-codes.ts';
export type { JsonObject, JsonValue } from './schemas/common/json.ts';
export type * from './schemas/pipeline/approval.ts';
export * from './schemas/pipeline/pipeline-spec.ts';
export * from './schemas/train/full-config.ts';
export { loraConfigSchema, type LoraConfig } from './schemas/train/lora-config.ts';
export type * from './schemas/train/train-run.ts';
export * from './schemas/train/train-spec.ts';
