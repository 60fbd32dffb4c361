/** What to do, in sentences that messages and the table of codes share: each is written once. Pure. */

/** Fetches a model, or names a file. `id`: the model; `more`: what else to do with it. */
export const pullModel = (id?: string, more = ''): string =>
  `Run \`escada model pull${id === undefined ? '' : ` ${id}`}\`${more}, or set ESCADA_MODEL_PATH to a file.`;

export const BUILD_ENGINE =
  'Run `escada engine build` (needs Rust and a C linker); in a clone, `npm start` and `npm test` do it too.';

/** Gets a Temporal server to talk to. */
export const START_SERVER = 'Start one with `escada server`, or set TEMPORAL_ADDRESS.';

/** Gets a worker for a run. `more`: what else may help, or what to do then. */
export const startWorker = (more = ''): string => `Start a worker with \`escada worker\`${more}.`;

/** What happens after a failure of an engine or a trainer that another attempt can mend. */
export const RESUMES = 'The step is tried again from its newest checkpoint';
