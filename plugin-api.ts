/** What an author of a plugin needs: contracts, failures, the nodes of plans, and helpers for steps, files and processes. */
export type * from './plugins/sdk/contracts/artifact-store.ts';
export { EscadaFailure, isEscadaFailure } from './plugins/sdk/contracts/failure.ts';
export type * from './plugins/sdk/contracts/language-model.ts';
export { DEFAULT_TOKENS_PER_SECOND, MODEL_CAPABILITIES } from './plugins/sdk/contracts/language-model.ts';
export { literal } from './plugins/sdk/contracts/literal.ts';
export type * from './plugins/sdk/contracts/metric.ts';
export { PLUGIN_API_VERSION, type PluginRegistrar, type PluginV1 } from './plugins/sdk/contracts/plugin.ts';
export { pluginFailures, type FailureDetails } from './plugins/sdk/contracts/plugin-failures.ts';
export type * from './plugins/sdk/contracts/retriever.ts';
export type * from './plugins/sdk/contracts/rung.ts';
export type * from './plugins/sdk/contracts/step-kind.ts';
export { DEFAULT_STALL_TIMEOUT_MS, MIN_HEARTBEAT_TIMEOUT_MS } from './plugins/sdk/contracts/step-kind.ts';
export type * from './plugins/sdk/contracts/trainer.ts';

// Schemas and types that contracts speak in.
export { artifactRefSchema, type ArtifactRef } from './schemas/common/artifact-ref.ts';
export { modelRefSchema, type ModelRef } from './schemas/common/model-ref.ts';
export type { JsonObject, JsonValue } from './schemas/common/json.ts';
export type { ErrorCode, ErrorEntry, FailureCode, PluginCode } from './schemas/errors/error-codes.ts';
export type { AdaptationSpec } from './schemas/spec/adaptation-spec.ts';
export type { PipelineSpecInput, StepNode } from './schemas/spec/pipeline-spec.ts';
export type { RequirementProfile } from './schemas/spec/profile.ts';

export { diagnosticSchema, type Diagnostic } from './schemas/outcome/candidate.ts';
export { recipeSchema, type Recipe } from './schemas/outcome/recipe.ts';
export { droppedSampleSchema, rowCountsSchema, type RowCounts } from './schemas/outcome/row-counts.ts';
export { usageSchema, type Usage } from './schemas/outcome/usage.ts';

// Plans of rungs.
export * from './plugins/sdk/plan-values.ts';
export * from './plugins/sdk/rung-plan.ts';

// Calls of language models: results matched by id, missing capabilities as coded failures.
export {
  capabilitiesOf,
  countTokens,
  embed,
  generate,
  methodOf,
  NO_USAGE,
  score,
  sumUsage,
  usageOf,
} from './plugins/sdk/model-calls.ts';
export { modelSalt } from './plugins/sdk/model-salt.ts';

// Rows, prompts and texts.
export { canonicalJson } from './plugins/sdk/canonical-json.ts';
export { formatIssues } from './plugins/sdk/issues.ts';
export { JSONL_TYPE, putJsonl, readJsonl, type Prediction } from './plugins/sdk/jsonl.ts';
export { buildMessages, type PromptParts } from './plugins/sdk/prompts.ts';
export { redact, redactJson } from './plugins/sdk/redact.ts';
export {
  DATASET_TYPE,
  keepRows,
  keptRowsSchema,
  type KeptRows,
  type SourceRow,
} from './plugins/sdk/dataset/keep-rows.ts';
export { readRows, streamRows, type DataRow } from './plugins/sdk/dataset/read-rows.ts';

// Files that are there whole or not at all.
export { fileFailure, withFileFailures } from './plugins/sdk/file-failures.ts';
export { linkOrCopy, makeFolder, publishFile, sha256OfBytes, sha256OfFile } from './plugins/sdk/publish.ts';

// A store of one's own: a full one over named bytes such as a bucket, or its parts.
export { BlobStore } from './plugins/sdk/store/blob-store.ts';
export type { BlobInfo, BlobsV1 } from './plugins/sdk/store/blobs.ts';

// Long work: what counts as movement, turns of the event loop, threads.
export {
  movementNoter,
  noteMovement,
  watchedElsewhere,
  whileWatchedElsewhere,
} from './plugins/sdk/movement.ts';
export { Slices } from './plugins/sdk/slices.ts';
export { ThreadPool } from './plugins/sdk/thread-pool.ts';

// Child processes: guarded, so that none outlives its worker, and spoken to by a table of methods.
export { childEnvironment } from './plugins/sdk/process/child-environment.ts';
export type { ProcessExit, SpawnedChild } from './plugins/sdk/process/child.ts';
export { processFailures, type ProcessFailures } from './plugins/sdk/process/failures.ts';
export type {
  MethodOf,
  MethodSchemas,
  MethodTable,
  ParamsOf,
  ResultOf,
} from './plugins/sdk/process/methods.ts';
export type { RequestOptions } from './plugins/sdk/process/operation.ts';
export {
  ProtocolProcess,
  type ProtocolProcessOptions,
  type ProtocolSide,
} from './plugins/sdk/process/protocol-process.ts';
export {
  readRows as readRowFile,
  withScratch,
  writeRows as writeRowFile,
} from './plugins/sdk/process/rows.ts';
export { spawnGuarded, type GuardedCommand } from './plugins/sdk/process/spawn-guarded.ts';
