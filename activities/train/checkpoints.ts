import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { linkOrCopy } from '../artifacts/publish.ts';

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

/** The manifest is written last, so it is linked last too. */
async function adopt(from: string, to: string): Promise<boolean> {
  const complete = await access(join(from, 'manifest.json')).then(
    () => true,
    () => false,
  );
  if (!complete) return false;
  const names = (await readdir(from)).filter((name) => name !== 'manifest.json').sort();
  for (const name of [...names, 'manifest.json']) await linkOrCopy(join(from, name), join(to, name));
  return true;
}
