import { ensureEngine } from './engine.mjs';
import { ensureModel } from './model.mjs';
import { installPackages } from './packages.mjs';
import { requirePrerequisites } from './prerequisites.mjs';
import { ensureServer } from './server.mjs';

/**
 * @typedef {object} SetUp What a run needs to know.
 * @property {string} modelPath
 * @property {string | null} temporalCli Program that can start a server; null when one runs already.
 * @property {string} addonPath
 */

/**
 * Brings a clone to the point where everything can run: prerequisites, then packages, engine, server and model side
 * by side, because one waits for the network while another computes. The first failure stops the others.
 * @param {{ root: string, progress: import('./progress.mjs').Progress, env?: import('./exec.mjs').Env,
 *   signal?: AbortSignal }} options
 * @returns {Promise<SetUp>}
 * @throws {import('./errors.mjs').BootstrapError}
 */
export async function setUp({ root, progress, env = process.env, signal: outer }) {
  await requirePrerequisites({ root, env });
  const stop = new AbortController();
  const abort = () => stop.abort(outer?.reason);
  outer?.addEventListener('abort', abort, { once: true });
  const options = { root, progress, env, signal: stop.signal };
  const parts = [
    installPackages(options),
    ensureEngine(options),
    ensureServer(options),
    ensureModel(options),
  ];
  try {
    const results = await settleAll(parts, stop);
    const [, engine, server, model] = /** @type {[unknown, { addonPath: string },
      Awaited<ReturnType<typeof ensureServer>>, { path: string }]} */ (results);
    return {
      modelPath: model.path,
      temporalCli: server.kind === 'cli' ? server.path : null,
      addonPath: engine.addonPath,
    };
  } finally {
    outer?.removeEventListener('abort', abort);
  }
}

/**
 * Waits for all; throws the first failure after the others, which it stops, have ended and cleaned up.
 * @param {Promise<unknown>[]} parts
 * @param {AbortController} stop
 * @returns {Promise<unknown[]>}
 */
async function settleAll(parts, stop) {
  /** @type {unknown[]} */
  const failures = [];
  const settled = parts.map((part) =>
    part.catch((/** @type {unknown} */ error) => {
      failures.push(error);
      stop.abort(error);
    }),
  );
  const results = await Promise.all(settled);
  if (failures.length > 0) throw failures[0];
  return results;
}

/**
 * The environment in which the program runs after the set-up.
 * @param {SetUp} ready
 * @param {number} setUpSeconds
 * @param {import('./exec.mjs').Env} [env]
 * @returns {import('./exec.mjs').Env}
 */
export function programEnvironment(ready, setUpSeconds, env = process.env) {
  return {
    ...env,
    ESCADA_SETUP_SECONDS: setUpSeconds.toFixed(1),
    ESCADA_MODEL_PATH: ready.modelPath,
    ...(ready.temporalCli === null ? {} : { ESCADA_TEMPORAL_CLI: ready.temporalCli }),
  };
}
