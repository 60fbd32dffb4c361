/**
 * Checkpoints stay in the folders of the attempts that wrote them; `checkpoints/` names the attempts of each action. They are handed on as hard links: a straggler of another attempt continues to write into its own folder
 * and cannot disturb this one.
 */
import { access, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { CheckpointsV1 } from '../../../plugins/sdk/contracts/artifact-store.ts';
import { linkOrCopy, publishFile } from '../../../plugins/sdk/publish.ts';
import { filesIn } from '../../../plugins/sdk/store/packed-folder.ts';

/** Written last: a checkpoint with one is complete. */
const MANIFEST = 'manifest.json';

const exists = async (path: string): Promise<boolean> =>
  await access(path).then(
    () => true,
    () => false,
  );

const list = async (folder: string): Promise<string[]> => await readdir(folder).catch(() => []);

/** An attempt of a step: digests of run and node, and its fencing token. */
interface Attempt {
  readonly run: string;
  readonly node: string;
  readonly token: number;
}

/** Folder for the checkpoints of an attempt. */
function checkpointFolder(root: string, { run, node, token }: Attempt): string {
  return join(root, 'runs', run, 'steps', node, `attempt-${token}`, 'out');
}

/** Steps of the complete checkpoints in a folder, newest first. */
async function completeSteps(folder: string): Promise<number[]> {
  const steps = (await list(folder))
    .flatMap((name) => /^checkpoint-(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number);
  const complete: number[] = [];
  for (const step of steps) {
    if (await exists(join(folder, `checkpoint-${step}`, MANIFEST))) complete.push(step);
  }
  return complete.sort((a, b) => b - a);
}

/** The manifest is written last, so it is linked last too. False when the checkpoint is removed meanwhile. */
async function adopt(from: string, target: string): Promise<boolean> {
  try {
    const names = (await filesIn(from)).filter((name) => name !== MANIFEST);
    for (const name of [...names, MANIFEST]) await linkOrCopy(join(from, name), join(target, name));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    await rm(target, { recursive: true, force: true });
    return false;
  }
}

/** The checkpoints of one action, as one attempt of it sees them. */
export class FileCheckpoints implements CheckpointsV1 {
  readonly folder: string;
  readonly #root: string;
  readonly #key: string;
  readonly #attempt: Attempt;

  constructor(root: string, key: string, attempt: Attempt) {
    this.folder = checkpointFolder(root, attempt);
    this.#root = root;
    this.#key = key;
    this.#attempt = attempt;
  }

  async earlierSteps(): Promise<readonly number[]> {
    const nodeDir = dirname(dirname(this.folder));
    const tokens = (await list(nodeDir))
      .flatMap((name) => /^attempt-(\d+)$/.exec(name)?.[1] ?? [])
      .map(Number);
    const earlier = tokens.filter((token) => token < this.#attempt.token).sort((a, b) => b - a);
    const newest = async (token: number): Promise<number> =>
      (await completeSteps(checkpointFolder(this.#root, { ...this.#attempt, token })))[0] ?? 0;
    return await Promise.all(earlier.map(newest));
  }

  /** From here on other attempts of the action find this one's checkpoints. */
  async restore(): Promise<number> {
    const { run, node, token } = this.#attempt;
    const others = (await readIndex(this.#root)).filter(({ key }) => key === this.#key);
    await publishFile(join(this.#root, INDEX, nameOf({ ...this.#attempt, key: this.#key })), '');
    const found: { folder: string; steps: number[]; own: boolean; token: number }[] = [];
    for (const other of others) {
      const own = other.run === run && other.node === node;
      if (own && other.token >= token) continue;
      const folder = checkpointFolder(this.#root, other);
      const steps = await completeSteps(folder);
      if (steps.length > 0) found.push({ folder, steps, own, token: other.token });
    }
    found.sort(
      (a, b) => (b.steps[0] ?? 0) - (a.steps[0] ?? 0) || Number(b.own) - Number(a.own) || b.token - a.token,
    );
    for (const { folder, steps } of found) {
      const adopted = await this.#adoptAll(folder, steps);
      if (adopted > 0) return adopted;
    }
    return 0;
  }

  async #adoptAll(folder: string, steps: readonly number[]): Promise<number> {
    let adopted = 0;
    for (const step of steps) {
      const name = `checkpoint-${step}`;
      if (await adopt(join(folder, name), join(this.folder, name))) adopted += 1;
    }
    return adopted;
  }

  async save(): Promise<void> {
    // It is where the next attempt looks for it.
  }

  /** Removes the entries of this attempt and earlier ones, whose folders are about to be removed. */
  async forget(): Promise<void> {
    const { run, node, token } = this.#attempt;
    for (const entry of await readIndex(this.#root)) {
      if (entry.run !== run || entry.node !== node || entry.token > token) continue;
      await rm(join(this.#root, INDEX, nameOf(entry)), { force: true });
    }
  }
}

/** An attempt and the action that it works on. */
interface Entry extends Attempt {
  readonly key: string;
}

const INDEX = 'checkpoints';

const nameOf = ({ key, run, node, token }: Entry): string => [key, run, node, token].join('-');

/** What is no entry is one in progress. */
async function readIndex(root: string): Promise<Entry[]> {
  return (await list(join(root, INDEX))).flatMap((name) => {
    const [, key = '', run = '', node = '', token] =
      /^([0-9a-f]+)-([0-9a-f]{64})-([0-9a-f]{64})-(\d+)$/.exec(name) ?? [];
    return token === undefined ? [] : [{ key, run, node, token: Number(token) }];
  });
}

/** Removes entries of attempts that are gone. */
export async function cleanCheckpoints(root: string): Promise<void> {
  for (const entry of await readIndex(root)) {
    if (await exists(dirname(checkpointFolder(root, entry)))) continue;
    await rm(join(root, INDEX, nameOf(entry)), { force: true });
  }
}
