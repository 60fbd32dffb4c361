/** Pure constants: no imports, so that workflow code may use them. */

/** Version of the interpreter that runs compiled plans; a plan names the one it was compiled for. */
export const INTERPRETER_VERSION = 1;

/** Task queue used when `ESCADA_TASK_QUEUE` is not set. */
export const DEFAULT_TASK_QUEUE = 'escada';

/**
 * Largest value that a step may take or give. Larger things go by ArtifactRef. The inputs of the eight steps that one
 * Workflow Task may schedule, and the subject of an approval beside them, fit the 4 MB of one call to the server.
 */
export const MAX_PAYLOAD_BYTES = 384 * 1024;

/** Largest value that travels alone: a compiled plan, what a report is made of, the result of a run. The server takes 2 MB. */
export const MAX_RESULT_BYTES = 1536 * 1024;

/**
 * Steps that a plan may come to, the bodies of its maps counted once for each item, an approval as two. A step takes about
 * six events: a plan that cannot continue in a new history, since something waits for a person, fits one.
 */
export const MAX_PLAN_STEPS = 5000;

/** Events and bytes of a history beyond which no step is started any more; the server ends a run at 51,200 and 50 MB. */
export const MAX_HISTORY_EVENTS = 45_000;
export const MAX_HISTORY_BYTES = 42_000_000;

/**
 * Events and bytes of a history at which a run continues as new, where the server has not suggested it before: its own
 * bounds are a matter of its configuration.
 */
export const CONTINUE_AT_EVENTS = 10_000;
export const CONTINUE_AT_BYTES = 10_000_000;

/** Longest summary of a step and of a run, in bytes of UTF-8; the server takes 400. */
export const MAX_STEP_SUMMARY_BYTES = 200;
export const MAX_RUN_SUMMARY_BYTES = 400;

/** Largest Markdown dashboard that the Temporal UI shows reliably. */
export const MAX_DASHBOARD_BYTES = 6 * 1024;

/** Most items that a `map` node may fan out over, and most that run at once. */
export const MAX_MAP_ITEMS = 64;
export const MAX_MAP_CONCURRENCY = 8;

/**
 * Attempts of a step that resumes. The step itself stops when attempts make no progress; this also ends what fails before
 * it can count, and is far more than a training needs whose worker is lost every hour of a week.
 */
export const MAX_RESUMABLE_ATTEMPTS = 200;

/** Attempts of a step that costs money: the one that is meant, and one for a fault that passes. */
export const MAX_BILLABLE_ATTEMPTS = 2;

/** Attempts of what failed without a code, which is a bug that most likely repeats itself. */
export const MAX_INTERNAL_ATTEMPTS = 3;

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
