/** What the tests of pulling share: the tiny model as a repository, and a pull with everything written down. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PullEvent } from '../../../runtime/hub/client.ts';
import { pullModel, type PulledModel } from '../../../runtime/hub/pull.ts';
import { parseTarget } from '../../../runtime/hub/repository.ts';
import { withLock } from '../../../runtime/bootstrap/lock.mjs';
import { inFolder } from '../../plugins/nf4-lora/support.ts';
import { FakeHub } from './fake-hub.ts';

export const TINY = fileURLToPath(new URL('../../fixtures/tiny-llama3', import.meta.url));
export const NAME = 'tests/tiny-llama3';
export const COMMIT = 'c0ffee0123456789c0ffee0123456789c0ffee01';
export const ID = 'tests--tiny-llama3--c0ffee012345';

export const MODEL_FILES = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];

/** The files of the tiny model, as a repository has them. */
export async function tinyFiles(): Promise<Record<string, Buffer>> {
  const read = MODEL_FILES.map(async (name) => [name, await readFile(join(TINY, name))] as const);
  return Object.fromEntries(await Promise.all(read));
}

export interface Scene {
  readonly hub: FakeHub;
  /** Empty folder of this test. */
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly events: PullEvent[];
  /** Waits between tries, in milliseconds; nothing is waited for. */
  readonly waits: number[];
  readonly pull: (text?: string, options?: SceneOptions) => Promise<PulledModel>;
}

export interface SceneOptions {
  readonly revision?: string;
  readonly file?: string;
  readonly out?: string;
  readonly idleMs?: number;
  readonly signal?: AbortSignal;
}

/** A hub with the tiny model at `COMMIT` (and files beside it), an empty cache, and a way to pull. */
export async function withHub(
  work: (scene: Scene) => Promise<void>,
  change: (files: Record<string, Buffer>) => void = () => undefined,
): Promise<void> {
  const hub = await FakeHub.start();
  const files = await tinyFiles();
  change(files);
  hub.repositories[NAME] = { refs: { main: COMMIT }, commits: { [COMMIT]: files } };
  const scene = async (folder: string): Promise<void> => {
    const env: NodeJS.ProcessEnv = { HF_ENDPOINT: hub.endpoint, ESCADA_CACHE_DIR: folder };
    const [events, waits]: [PullEvent[], number[]] = [[], []];
    const pull: Scene['pull'] = (text = NAME, { revision, file, ...options } = {}) =>
      pullModel(parseTarget(text, { revision, file }), {
        ...options,
        env,
        report: (event) => events.push(event),
        wait: async (ms) => void waits.push(ms),
        exclusively: (lock, action) => withLock(lock, {}, action),
      });
    await work({ hub, folder, env, events, waits, pull });
  };
  try {
    await inFolder(scene);
  } finally {
    await hub.close();
  }
}

/** An address at which nobody listens. */
export async function closedEndpoint(): Promise<string> {
  const hub = await FakeHub.start();
  const { endpoint } = hub;
  await hub.close();
  return endpoint;
}
