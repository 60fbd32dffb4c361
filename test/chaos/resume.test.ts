import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeRows } from '../../plugins/sdk/process/rows.ts';
import { inFolder, TINY_MODEL, trainRows } from '../plugins/nf4-lora/support.ts';
import { resumeTrials } from './resume-trials.ts';
import { resumeVariants } from './resume-variants.ts';

test('a training killed at random moments ends with the bits of an undisturbed one', async () => {
  await inFolder(async (room) => {
    const setting = { model: TINY_MODEL, rowsPath: join(room, 'rows.jsonl'), room };
    await writeRows(setting.rowsPath, trainRows(64));
    const variants = resumeVariants('tiny');
    const done = await resumeTrials(setting, variants, { trials: variants.length, seed: 7 });
    for (const one of done) assert.deepEqual(one.problems, [], JSON.stringify(one));
    assert.ok(
      done.some(({ resumedFromStep }) => resumedFromStep > 0),
      'no training was caught in the middle',
    );
  });
});
