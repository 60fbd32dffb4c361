/**
 * What specs, outcomes and failures are: schemas, types, error codes, settings. Loads no part of Temporal; the client,
 * the worker plugin and the workflows have entries of their own.
 */
export { readSettings, type Settings } from './runtime/settings.ts';
export { EscadaFailure, isEscadaFailure } from './plugins/sdk/contracts/failure.ts';
export * from './schemas/spec/adaptation-spec.ts';
export type * from './schemas/outcome/candidate.ts';
export type * from './schemas/outcome/decision.ts';
export type * from './schemas/outcome/recipe.ts';
export type * from './schemas/outcome/usage.ts';
export * from './schemas/spec/flowchart.ts';
export { artifactRefSchema, type ArtifactRef } from './schemas/common/artifact-ref.ts';
export { DEFAULT_TASK_QUEUE, WORKFLOW_NAMES, type WorkflowName } from './schemas/plan/constants.ts';
export { ERROR_CODES, type ErrorCode, type ErrorEntry } from './schemas/errors/error-codes.ts';
export type { JsonObject, JsonValue } from './schemas/common/json.ts';
export type * from './schemas/outcome/approval.ts';
export * from './schemas/spec/pipeline-spec.ts';
export * from './schemas/spec/full-config.ts';
export { loraConfigSchema, type LoraConfig } from './schemas/spec/lora-config.ts';
export type * from './schemas/outcome/train-run.ts';
export * from './schemas/spec/train-spec.ts';
