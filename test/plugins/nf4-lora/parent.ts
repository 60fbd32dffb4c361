/** A worker in miniature for the orphan test: trains without end and prints the id of the engine's process. */
import { join } from 'node:path';
import { EngineProcess } from '../../../plugins/nf4-lora/worker/engine-process.ts';
import { ENDLESS_CONFIG, LOAD, writeTrainRows } from './support.ts';

const folder = process.argv[2] ?? '';
const engine = await EngineProcess.start();
await engine.request('load', LOAD);
const paths = { rowsPath: await writeTrainRows(folder), outDir: join(folder, 'out') };
await engine.request(
  'train',
  { ...paths, config: ENDLESS_CONFIG },
  { onEvent: ({ step }) => step === 2 && process.stdout.write(`${engine.pid}\n`) },
);
