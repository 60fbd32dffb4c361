import { access, readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import { linkOrCopy } from '../../sdk/publish.ts';

/**
 * Brings the complete checkpoints of earlier attempts into this attempt's folder, as hard links: a straggler of an
 * earlier attempt keeps writing into its own folder and cannot disturb this one. Stops at the newest attempt that has any.
 */
export async function adoptCheckpoints(earlierDirs: readonly string[], outDir: string): Promise<number> {
  for (const earlier of earlierDirs) {
    const folder = join(earlier, 'out');
    const names = await readdir(folder).catch(() => [] as string[]);
    let adopted = 0;
    for (const name of names.filter((one) => /^checkpoint-\d+$/.test(one)).sort()) {
      if (await adopt(join(folder, name), join(outDir, name))) adopted += 1;
    }
    if (adopted > 0) return adopted;
  }
  return 0;
}

/** The manifest is written last: a checkpoint with one is complete. */
async function isComplete(checkpoint: string): Promise<boolean> {
  return await access(join(checkpoint, 'manifest.json')).then(
    () => true,
    () => false,
  );
}

/** The manifest is written last, so it is linked last too. */
async function adopt(from: string, to: string): Promise<boolean> {
  if (!(await isComplete(from))) return false;
  const entries = await readdir(from, { recursive: true, withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(from, join(entry.parentPath, entry.name)))
    .filter((name) => name !== 'manifest.json')
    .sort();
  for (const name of [...names, 'manifest.json']) await linkOrCopy(join(from, name), join(to, name));
  return true;
}

/** Attempts in a row that may end without a new checkpoint before a training is given up. */
export const MAX_ATTEMPTS_WITHOUT_PROGRESS = 8;

/** Step of the newest complete checkpoint of an attempt; 0 when it has none. */
async function newestStep(attemptDir: string): Promise<number> {
  const folder = join(attemptDir, 'out');
  const names = await readdir(folder).catch(() => [] as string[]);
  const steps = names.flatMap((name) => /^checkpoint-(\d+)$/.exec(name)?.[1] ?? []).map(Number);
  for (const step of steps.sort((a, b) => b - a)) {
    if (await isComplete(join(folder, `checkpoint-${step}`))) return step;
  }
  return 0;
}

/**
 * How many of the newest attempts ended no further than all before them: one that dies before it takes over a checkpoint
 * has none, and the next is not ahead because it has one again. `earlierDirs`: newest first.
 */
export async function attemptsWithoutProgress(earlierDirs: readonly string[]): Promise<number> {
  const steps: number[] = [];
  for (const dir of earlierDirs) steps.push(await newestStep(dir));
  const progressed = steps.findIndex((step, at) => step > Math.max(0, ...steps.slice(at + 1)));
  return progressed < 0 ? steps.length : progressed;
}

/** Throws `TRAINING_NO_PROGRESS` when too many attempts in a row got no further. */
export async function requireProgress(earlierDirs: readonly string[]): Promise<void> {
  const attempts = await attemptsWithoutProgress(earlierDirs);
  if (attempts < MAX_ATTEMPTS_WITHOUT_PROGRESS) return;
  const message = `${attempts} attempts in a row ended before a new checkpoint was complete; ${earlierDirs.length} attempts in all. The failures before this one say why.`;
  throw new EscadaFailure({ code: 'TRAINING_NO_PROGRESS', message, fields: { attempts } });
}
