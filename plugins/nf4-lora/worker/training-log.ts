import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { trainingWarningSchema } from '../../../schemas/outcome/warning.ts';
import { sampleSchema } from './protocol.ts';
import { readRows } from '../../sdk/process/rows.ts';

const logRowSchema = z.object({
  step: z.int(),
  lossNats: z.number().nullable(),
  learningRate: z.number(),
  skipped: z.boolean().optional(),
  warnings: z.array(trainingWarningSchema).optional(),
  samples: z.array(sampleSchema).optional(),
});

/** One entry a step, first step first, as kept by the newest checkpoint of a finished training. */
export async function readTrainingLog(outDir: string): Promise<z.infer<typeof logRowSchema>[]> {
  const steps = (await readdir(outDir))
    .map((name) => Number(/^checkpoint-(\d+)$/.exec(name)?.[1] ?? 0))
    .sort((left, right) => right - left);
  return readRows(join(outDir, `checkpoint-${steps[0] ?? 0}`, 'log.jsonl'), logRowSchema);
}
