/** What a whole run needs beside the code, and the reason to name when a test has to be skipped. */
import { dirname } from 'node:path';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { addonPath } from '../../../plugins/nf4-lora/worker/spawn-child.ts';
import { findModelPath } from '../../../plugins/sdk/model-folder/model-path.ts';
import { findServer } from '../../../runtime/bootstrap/server.mjs';

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
export const TINY_MODEL = fileURLToPath(new URL('../../fixtures/tiny-llama', import.meta.url));
// Tests name it by its path.
process.env['ESCADA_MODEL_ROOTS'] ??= dirname(TINY_MODEL);
export const REAL_MODEL_ID = 'smollm2-135m-instruct';

/** A program that can start a server: `ESCADA_TEMPORAL_CLI`, or what the set-up finds; null when there is none. */
export async function findTemporalCli(): Promise<string | null> {
  const { ESCADA_TEMPORAL_CLI: given, TEMPORAL_ADDRESS: _address, ...env } = process.env;
  if (given !== undefined && given !== '') return given;
  // Tests start a server of their own even where one is configured: a shared one would see their runs.
  const found = await findServer({ root: ROOT, env: { ...env, TEMPORAL_CONFIG_FILE: '/nonexistent' } }).catch(
    () => null,
  );
  return found?.kind === 'cli' ? found.path : null;
}

/** File of the real model, or null. */
export async function findRealModel(): Promise<string | null> {
  return await findModelPath(REAL_MODEL_ID).catch(() => null);
}

/** Why a test cannot run here; false when it can. */
export async function reasonToSkip(needs: {
  readonly engine?: boolean;
  readonly realModel?: boolean;
  readonly procfs?: boolean;
}): Promise<string | false> {
  if ((await findTemporalCli()) === null)
    return 'no Temporal CLI: set ESCADA_TEMPORAL_CLI or put `temporal` on PATH';
  if (needs.engine === true && !existsSync(addonPath())) return 'the native engine is not built';
  if (needs.realModel === true && (await findRealModel()) === null)
    return `the model ${REAL_MODEL_ID} is not on this machine`;
  if (needs.procfs === true && !existsSync('/proc/self/environ')) return 'finding processes needs /proc';
  return false;
}
