import { BUILD_ENGINE, pullModel, RESUMES, START_SERVER, startWorker } from './hints.ts';

/** Every failure a user can meet. Pure: workflow code may import it. `docs/errors.md` lists the same codes; a test compares. */
export interface ErrorEntry {
  /** What it means, in one sentence. */
  readonly meaning: string;
  /** Whether trying the same thing again can help. */
  readonly retryable: boolean;
  /** What the user can do. */
  readonly help: string;
}

export const ERROR_CODES = {
  INVALID_SPEC: {
    meaning: 'The spec is not valid; the message lists each field.',
    retryable: false,
    help: 'Correct the named fields and start again.',
  },
  UNKNOWN_WORKFLOW: {
    meaning: 'There is no workflow of that name.',
    retryable: false,
    help: 'Use one of the names in the message.',
  },
  BUDGET_TOO_SMALL: {
    meaning: 'The budget does not even cover the first rung.',
    retryable: false,
    help: 'Raise budget.seconds or lower data.sizes.',
  },
  BUDGET_EXHAUSTED: {
    meaning: 'The budget ran out before any rung was measured.',
    retryable: false,
    help: 'Raise budget.seconds or lower data.sizes.',
  },
  FILE_NOT_FOUND: {
    meaning: 'A file named in the input does not exist or cannot be read.',
    retryable: false,
    help: 'Check the path. In a spec file it is relative to that file; in a run that was started elsewhere, to the data roots.',
  },
  PATH_OUTSIDE_DATA_ROOTS: {
    meaning: 'A path leads outside the folders the worker may read.',
    retryable: false,
    help: 'Move the file to a data root, or add its folder to ESCADA_DATA_ROOTS; names that begin with a dot stay closed.',
  },
  DATA_UNREADABLE: {
    meaning: 'A data file is damaged or not in the stated format.',
    retryable: false,
    help: 'Repair the named line, or state the right format.',
  },
  DATA_COLUMN_MISSING: {
    meaning: 'A mapped column is not in the data.',
    retryable: false,
    help: 'Use one of the columns listed in the message.',
  },
  DATA_TOO_FEW_ROWS: {
    meaning: 'Too few usable rows are left after curation.',
    retryable: false,
    help: 'Add rows, lower data.sizes, or loosen the curation steps.',
  },
  DATA_NOT_LABELS: {
    meaning: 'The label column contains free text.',
    retryable: false,
    help: 'Choose a column of labels, or leave the step out.',
  },
  METRIC_FAILED: {
    meaning: 'A metric cannot score a row, or takes too long for it.',
    retryable: false,
    help: 'The message names the row and, if there is one, the rule. Write its pattern without repetitions inside repetitions, such as `(a+)+`; where rows are long, raise rowTimeoutMs of the plugin `metrics`.',
  },
  ARTIFACT_MISSING: {
    meaning: 'An artifact is not in the store.',
    retryable: false,
    help: 'Start the run again, so that the step that makes it runs again, or point the worker at the right store (ESCADA_HOME).',
  },
  ARTIFACT_DAMAGED: {
    meaning: 'The artifact does not match its digest.',
    retryable: false,
    help: 'Start the run again: the step that makes it writes it again. If it happens twice, check the disk.',
  },
  STEP_KIND_UNKNOWN: {
    meaning: 'No plugin brings this step kind.',
    retryable: false,
    help: 'Use one of the kinds in the message, or add the plugin that brings it.',
  },
  PROMPT_TOO_LONG: {
    meaning: 'Prompts with their answers are longer than the context of the model.',
    retryable: false,
    help: 'Show fewer demonstrations or passages, lower task.maxPromptTokens or task.maxAnswerTokens, or take a model with a longer context.',
  },
  STEP_TIMED_OUT: {
    meaning: 'A step did not end in its time, or its worker stopped sending heartbeats.',
    retryable: true,
    help: 'See the log of the worker; give it less to do or more memory, and start again: finished steps are kept.',
  },
  BILLABLE_ATTEMPTS_USED: {
    meaning: 'A step that costs money failed as often as it may be tried.',
    retryable: false,
    help: 'See why in the log of the worker, then start the run again; finished steps are kept and not paid for again.',
  },
  STEP_STALLED: {
    meaning: 'A step gave no sign of movement for too long and was given up.',
    retryable: true,
    help: 'The step is tried again. If it stays so, the message names step and kind, and the log of the worker says what it was doing; for a kind of your own whose work is silent, call `heartbeat` or raise stallTimeoutMs.',
  },
  PAYLOAD_TOO_LARGE: {
    meaning:
      'What a step takes or returns, an approval asks about or a run returns is more than may travel in a history.',
    retryable: false,
    help: 'Pass an artifact reference instead of the data; the message names the node and the size.',
  },
  HISTORY_FULL: {
    meaning: 'A run has nearly as many events or bytes in its history as a Temporal server keeps of one run.',
    retryable: false,
    help: 'A pending approval keeps a run from continuing in a new history: answer it earlier, or divide the pipeline into several runs. Results of steps in the store are not computed again.',
  },
  CONFIG_INVALID: {
    meaning: "The project's configuration file is not valid.",
    retryable: false,
    help: 'Correct the fields that the message names; docs/plugins.md describes the file, schemas/generated/project-config.json is its schema.',
  },
  PLUGIN_NOT_FOUND: {
    meaning: 'A plugin package of the configuration file is not installed.',
    retryable: false,
    help: 'Install the package in the folder of the configuration file, or correct the entry that the message names.',
  },
  PLUGIN_LOAD_FAILED: {
    meaning: 'The module of a plugin package throws while it is loaded.',
    retryable: false,
    help: 'The message holds the error of the module. Install what it imports, or update the package.',
  },
  PLUGIN_INVALID: {
    meaning: 'A package exports no plugin, or one that does not follow the plugin contract.',
    retryable: false,
    help: 'Correct the plugin as the message says; docs/plugins.md shows one.',
  },
  PLAN_VERSION_UNSUPPORTED: {
    meaning: 'A plan was compiled for another version of the interpreter than the one that was to run it.',
    retryable: false,
    help: 'Start the run again: workers of one version then compile and run it. Results of steps in the store are not computed again.',
  },
  PLUGIN_DUPLICATE: {
    meaning: 'Two plugins bring the same name.',
    retryable: false,
    help: 'Remove one of them.',
  },
  PLUGIN_API_VERSION: {
    meaning: 'A plugin was written for another version of the plugin contract.',
    retryable: false,
    help: 'Update the plugin or Escada.',
  },
  PLUGIN_NEED_MISSING: {
    meaning: 'A plugin needs another one that is not listed before it.',
    retryable: false,
    help: 'List the needed plugin first.',
  },
  PLUGIN_KIND_INVALID: {
    meaning: 'Something that a plugin brings has a name, a contract version or times that Escada cannot use.',
    retryable: false,
    help: 'Correct the field that the message names, or update the plugin.',
  },
  PLUGIN_RUNG_INVALID: {
    meaning: 'A plugin brings a rung whose id or place in the flowchart is not valid.',
    retryable: false,
    help: 'Report it to the author of the plugin.',
  },
  PLUGIN_OPTIONS_INVALID: {
    meaning: 'The options of a plugin do not fit its schema.',
    retryable: false,
    help: 'Correct the named fields.',
  },
  STORE_CONFIG_INVALID: {
    meaning:
      'The artifact store that the settings choose does not exist, or its options do not fit its schema.',
    retryable: false,
    help: 'Correct ESCADA_STORE, or "store" in the configuration file. The message names the known stores.',
  },
  ACTIVITY_NAME_TAKEN: {
    meaning: "A host's worker has an activity of the name that Escada needs.",
    retryable: false,
    help: 'Rename the activity, or give Escada a Worker on a task queue of its own.',
  },
  WORKER_PLUGIN_REUSED: {
    meaning: 'One EscadaPlugin was given to two Workers, or twice to one.',
    retryable: false,
    help: 'Load an EscadaPlugin for each Worker, and name it there or at the connection, not at both.',
  },
  MODEL_NOT_FOUND: {
    meaning: 'The model is not on this machine.',
    retryable: false,
    help: pullModel(),
  },
  PATH_OUTSIDE_MODEL_ROOTS: {
    meaning: 'The path of a model leads outside the folders the worker takes models from.',
    retryable: false,
    help: 'Add its folder to ESCADA_MODEL_ROOTS of the worker, or move the model into one of these folders.',
  },
  MODEL_INCOMPLETE: {
    meaning: "A model's file or folder is not what the engine reads, or lacks a file.",
    retryable: false,
    help: 'The message says what is there, what is missing and what to do.',
  },
  MODEL_UNREADABLE: {
    meaning: 'A file of a model is there and cannot be read.',
    retryable: false,
    help: 'Look at the owner and the permissions of the file and its folders.',
  },
  MODEL_FILE_INVALID: {
    meaning: 'A model, tokenizer, adapter or checkpoint file is damaged.',
    retryable: false,
    help: 'Delete the file and fetch it again.',
  },
  MODEL_UNSUPPORTED: {
    meaning: 'The engine does not implement this architecture or tensor type.',
    retryable: false,
    help: 'Use a supported model; the message names what is missing.',
  },
  MODEL_CAPABILITY_MISSING: {
    meaning:
      'A step needs a capability (scoring, counting tokens, weights, export) that the model does not have.',
    retryable: false,
    help: 'Use a model that has it, or leave out what needs it; the message names provider, model and capability.',
  },
  MODEL_ANSWERS_MISMATCHED: {
    meaning: 'A model left out, repeated or invented results: their ids are not those of the request.',
    retryable: false,
    help: 'This is a bug in the plugin that brings the model provider: please report it there, with the message.',
  },
  HUB_INPUT_INVALID: {
    meaning: 'A repository, revision, file, option or variable of `escada model pull` cannot be used.',
    retryable: false,
    help: 'The message names it and says what is allowed there.',
  },
  HUB_NOT_FOUND: {
    meaning: 'The hub has no such repository, revision or file.',
    retryable: false,
    help: 'Check the name on the page of the hub; for a private repository set HF_TOKEN.',
  },
  HUB_ACCESS_DENIED: {
    meaning: 'The hub refuses access to a gated or private repository.',
    retryable: false,
    help: "Accept the terms on the repository's page, set HF_TOKEN to a token that may read it, and pull again.",
  },
  HUB_NOTHING_USABLE: {
    meaning: 'A repository holds no model that the engine reads.',
    retryable: false,
    help: 'Pull a repository with safetensors, or one GGUF file with --file; pickle files are never read.',
  },
  HUB_UNREACHABLE: {
    meaning: 'The hub is unreachable or stopped responding.',
    retryable: true,
    help: 'Pull again later: what was fetched is kept. HF_ENDPOINT names a mirror; an absolute path is an id too.',
  },
  HUB_ANSWER_INVALID: {
    meaning: 'Unexpected response from the hub.',
    retryable: false,
    help: 'Check HF_ENDPOINT, and whether a proxy is in between.',
  },
  HUB_FILE_DAMAGED: {
    meaning: 'A fetched file is not what the hub lists.',
    retryable: true,
    help: 'Pull again; if it stays so, check HF_ENDPOINT, and whether a proxy is in between.',
  },
  DISK_FULL: {
    meaning: 'There is not enough room on the disk.',
    retryable: false,
    help: 'Free some space (`escada clean` removes what old runs left), or choose a folder on another disk (`--out`, ESCADA_HOME for the store, ESCADA_CACHE_DIR for what is fetched).',
  },
  ENGINE_NOT_BUILT: {
    meaning: 'The native engine is not built, or was built for another machine.',
    retryable: false,
    help: BUILD_ENGINE,
  },
  ENGINE_REQUEST_INVALID: {
    meaning: 'A request to the engine is malformed.',
    retryable: false,
    help: 'The message names the field.',
  },
  ENGINE_CRASHED: {
    meaning: 'The engine process ended unexpectedly.',
    retryable: true,
    help: `${RESUMES}; the last log lines are in the message.`,
  },
  ENGINE_STALLED: {
    meaning: 'The engine made no progress for too long and was stopped.',
    retryable: true,
    help: `${RESUMES}.`,
  },
  ENGINE_CANCELLED: {
    meaning: 'The operation was cancelled.',
    retryable: true,
    help: 'Nothing to do.',
  },
  TRAINER_NOT_STARTED: {
    meaning:
      'The command of a trainer could not be started, or exited or timed out before completing the handshake.',
    retryable: false,
    help: 'Run the command in a terminal; its last lines are in the message. Correct it in escada.config.json, or raise `startMs`.',
  },
  TRAINER_PROTOCOL: {
    meaning: 'A trainer sent what is not in the protocol, or left no adapter where it says.',
    retryable: false,
    help: 'Correct the trainer by plugins/process-trainer/PROTOCOL.md; what it sent is in the message.',
  },
  TRAINER_UNSUPPORTED: {
    meaning: 'A trainer does not do what the settings ask of it.',
    retryable: false,
    help: 'Change the settings that the message names, or choose another trainer.',
  },
  TRAINER_FAILED: {
    meaning: 'A trainer reported an error of its own.',
    retryable: false,
    help: 'See its message.',
  },
  TRAINER_CRASHED: {
    meaning: 'The process of a trainer ended unexpectedly.',
    retryable: true,
    help: `${RESUMES}; the last log lines are in the message.`,
  },
  TRAINER_STALLED: {
    meaning: 'A trainer gave no sign of life for too long and was stopped.',
    retryable: true,
    help: `${RESUMES}; raise stallMs when its steps are long.`,
  },
  TRAINER_CANCELLED: {
    meaning: 'A training in a process was cancelled.',
    retryable: true,
    help: 'Nothing to do.',
  },
  TRAINING_OUT_OF_MEMORY: {
    meaning: 'A training would need more memory than is free.',
    retryable: false,
    help: 'Use the settings that the message names (gradientCheckpointing, or batch size and accumulation), or free memory.',
  },
  EXPORT_DRIFT: {
    meaning: 'An exported model does not answer as base and adapter do.',
    retryable: false,
    help: 'Export with more bits a weight, or accept the drift by its number (--max-drift).',
  },
  EXPORT_NO_ADAPTER: {
    meaning: 'A run is asked for an export, but what won has no adapter.',
    retryable: false,
    help: 'There is nothing to merge: use the base model with the recipe of the report.',
  },
  ENGINE_OUT_OF_MEMORY: {
    meaning: 'The engine did not get the memory that an operation needs.',
    retryable: false,
    help: 'Free memory on the machine of the worker, take weightFormat "nf4" or a smaller model, or fewer rows at a time (perDeviceTrainBatchSize, batchRows).',
  },
  ENGINE_IO: {
    meaning: 'The engine could not read or write a file.',
    retryable: true,
    help: 'Check free disk space and permissions.',
  },
  ENGINE_INTERNAL: {
    meaning: 'A broken invariant inside the engine.',
    retryable: false,
    help: 'This is a bug: please report it with the message above.',
  },
  TRAINING_DATA_INVALID: {
    meaning: 'The training rows cannot be used.',
    retryable: false,
    help: 'The message counts the rows and says why.',
  },
  TRAINING_NON_FINITE: {
    meaning: 'A loss or gradient was not finite.',
    retryable: false,
    help: 'The message names the step, its rows and the first tensor. Look at the rows, lower the learning rate, or set `nonFinite` to `"skip"`.',
  },
  TRAINING_NO_PROGRESS: {
    meaning: 'Several attempts of a training in a row ended before a new checkpoint was complete.',
    retryable: false,
    help: 'See the last failure in the message; lower saveSteps when attempts are short, or free memory on the worker.',
  },
  CHECKPOINT_MISMATCH: {
    meaning: 'A checkpoint belongs to another run.',
    retryable: false,
    help: 'Use an empty output folder.',
  },
  APPROVAL_INVALID: {
    meaning: 'An answer to an approval is not one JSON object of the right shape.',
    retryable: false,
    help: 'Send the JSON that the run shows, with your verdict.',
  },
  APPROVAL_UNKNOWN: {
    meaning: 'No approval of that id waits for an answer.',
    retryable: false,
    help: 'Use one of the ids in the message; an answer cannot be changed.',
  },
  APPROVAL_STALE: {
    meaning: 'The answer is about other content than what waits for approval.',
    retryable: false,
    help: 'Look at what waits now and answer with its digest.',
  },
  APPROVAL_REJECTED: {
    meaning: 'A person rejected what a pipeline asked to approve.',
    retryable: false,
    help: 'See the comment in the message; correct the pipeline or its data and start again.',
  },
  APPROVAL_TIMED_OUT: {
    meaning: 'Nobody answered an approval in the time the pipeline allows.',
    retryable: false,
    help: 'Start again and answer in time, or raise timeoutSeconds of the node.',
  },
  SERVER_UNREACHABLE: {
    meaning: 'No Temporal server answers at the address.',
    retryable: true,
    help: START_SERVER,
  },
  TEMPORAL_CONFIG_INVALID: {
    meaning: "Temporal's environment variables, or the profile they name, cannot be used.",
    retryable: false,
    help: 'Correct the file that TEMPORAL_CONFIG_FILE names (default: temporal.toml of your user), or unset the variable.',
  },
  SERVER_PORT_TAKEN: {
    meaning: 'The port for a Temporal server or for its Web UI is in use.',
    retryable: false,
    help: 'Name another one with --port, or leave it out to have a free one chosen.',
  },
  SERVER_RUNS_ELSEWHERE: {
    meaning: 'A Temporal server runs over the database already, on another port than the one asked for.',
    retryable: false,
    help: 'Leave out --port to share it, or stop it first.',
  },
  WORKER_FAILED: {
    meaning: 'A worker cannot start, or ended several times in a row soon after it was started.',
    retryable: true,
    help: 'Correct what the message names; the log of the worker may say more.',
  },
  NO_WORKER: {
    meaning: 'No worker is polling the task queue; the run would never start.',
    retryable: true,
    help: startWorker(),
  },
  RUN_UNRESPONSIVE: {
    meaning: 'No worker answered for a run in time.',
    retryable: true,
    help: startWorker(', or look whether it is busy or stopped, then try again'),
  },
  OUTPUT_NOT_WRITABLE: {
    meaning: 'A file cannot be written at the place given to the command.',
    retryable: false,
    help: 'Choose another path, or make its folder and allow writing there.',
  },
  PATH_NOT_USABLE: {
    meaning:
      'A path cannot be used: it is a folder where a file belongs, leads through a file, or is too long.',
    retryable: false,
    help: 'Name another path; the message says which one and why.',
  },
  RUN_NOT_FOUND: {
    meaning: 'There is no run of that id.',
    retryable: false,
    help: 'List runs in the Temporal UI, or check the id.',
  },
  INTERNAL: {
    meaning: 'A broken invariant.',
    retryable: false,
    help: 'This is a bug: please report it with the message above.',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** A code that a plugin declares: its name, a slash, and the code in its own table (`my-plugin/RATE_LIMITED`). */
export type PluginCode = `${string}/${string}`;

/** Every code that a failure may carry. */
export type FailureCode = ErrorCode | PluginCode;

export const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERROR_CODES, code);

export const isPluginCode = (code: string): code is PluginCode =>
  /^[a-z][a-z0-9-]*\/[A-Z][A-Z0-9_]*$/.test(code);

/** The entry of a built-in code; undefined for a plugin's, whose entry travels with the failure. */
export function builtInEntry(code: string): ErrorEntry | undefined {
  return isErrorCode(code) ? ERROR_CODES[code] : undefined;
}
