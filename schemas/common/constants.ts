/** Pure constants: no imports, so that workflow code may use them. */

/** Version of the interpreter that runs compiled plans; a plan names the one it was compiled for. */
export const INTERPRETER_VERSION = 1;

/** Task queue used when `ESCADA_TASK_QUEUE` is not set. */
export const DEFAULT_TASK_QUEUE = 'escada';

/** Largest value that may travel through a Workflow history in one payload. Larger things go by ArtifactRef. */
export const MAX_PAYLOAD_BYTES = 512 * 1024;

/** Largest Markdown dashboard that the Temporal UI shows reliably. */
export const MAX_DASHBOARD_BYTES = 6 * 1024;

/** Most items that a `map` node may fan out over, and most that run at once. */
export const MAX_MAP_ITEMS = 64;
export const MAX_MAP_CONCURRENCY = 8;

/** Failed attempts of a training after which its run continues as new. */
export const TRAINING_ATTEMPTS_PER_RUN = 10;

export const WORKFLOW_NAMES = ['adaptModel', 'trainModel', 'runPipeline'] as const;
export type WorkflowName = (typeof WORKFLOW_NAMES)[number];

export const UPDATE_APPROVE = 'approve';
/** Longest comment of an approval. */
export const MAX_COMMENT_CHARACTERS = 2000;

export const QUERY_PROGRESS = 'progress';
export const QUERY_DECISIONS = 'decisions';
export const QUERY_APPROVALS = 'approvals';
