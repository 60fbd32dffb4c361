import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { suite, test } from 'node:test';
import {
  adoptCheckpoints,
  attemptsWithoutProgress,
  MAX_ATTEMPTS_WITHOUT_PROGRESS,
  requireProgress,
} from '../../../../plugins/steps/train/checkpoints.ts';

/** Folders of attempts, oldest first, each with these complete checkpoints; a negative step is one without manifest. */
async function attempts(...all: number[][]): Promise<string[]> {
  const root = await mkdtemp(join(tmpdir(), 'escada-attempts-'));
  const dirs: string[] = [];
  for (const [index, steps] of all.entries()) {
    const dir = join(root, `attempt-${index + 1}`);
    for (const step of steps) {
      const checkpoint = join(dir, 'out', `checkpoint-${Math.abs(step)}`);
      await mkdir(checkpoint, { recursive: true });
      if (step > 0) await writeFile(join(checkpoint, 'manifest.json'), '{}');
    }
    dirs.unshift(dir);
  }
  return dirs;
}

suite('checkpoints of earlier attempts', () => {
  test('complete ones are taken over as links, with the folders inside them', async () => {
    const [earlier = ''] = await attempts([5, 10, -15]);
    const nested = join(earlier, 'out', 'checkpoint-10', 'optimizer', 'state');
    await mkdir(dirname(nested));
    await writeFile(nested, 'moments');
    const outDir = await mkdtemp(join(tmpdir(), 'escada-adopt-'));
    assert.equal(await adoptCheckpoints([earlier], outDir), 2);
    assert.deepEqual((await readdir(outDir)).sort(), ['checkpoint-10', 'checkpoint-5']);
    const adopted = await stat(join(outDir, 'checkpoint-10', 'optimizer', 'state'));
    assert.equal(adopted.ino, (await stat(nested)).ino);
  });
});

suite('attempts without progress', () => {
  test('counts the newest attempts that got no further than the one before', async () => {
    assert.equal(await attemptsWithoutProgress([]), 0);
    assert.equal(await attemptsWithoutProgress(await attempts([], [])), 2);
    assert.equal(await attemptsWithoutProgress(await attempts([10])), 0);
    assert.equal(await attemptsWithoutProgress(await attempts([10], [10], [10, 20])), 0);
    assert.equal(await attemptsWithoutProgress(await attempts([10], [10, 20], [20], [20])), 2);
    assert.equal(
      await attemptsWithoutProgress(await attempts([9], [9, 100], [9, 100])),
      1,
      'steps are numbers',
    );
  });

  test('a checkpoint that was only taken over again is no progress', async () => {
    assert.equal(await attemptsWithoutProgress(await attempts([100], [], [100], [], [100])), 4);
    assert.equal(await attemptsWithoutProgress(await attempts([100], [], [100, 110], [], [100, 110])), 2);
  });

  test('a checkpoint without a manifest is none', async () => {
    assert.equal(await attemptsWithoutProgress(await attempts([10], [10, -20])), 1);
  });

  test('a training that goes on, however slowly, is never given up; one that does not, is', async () => {
    const slow = Array.from({ length: 40 }, (_, at) => [at + 1]);
    await requireProgress(await attempts(...slow));
    const stuck = Array.from({ length: MAX_ATTEMPTS_WITHOUT_PROGRESS }, () => [5]);
    await requireProgress(await attempts(...stuck));
    await assert.rejects(requireProgress(await attempts(...stuck, [5])), {
      code: 'TRAINING_NO_PROGRESS',
      message: /^8 attempts in a row .*; 9 attempts in all/,
    });
  });
});
