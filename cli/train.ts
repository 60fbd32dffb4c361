import { Command } from 'commander';
import { readSettings } from '../runtime/settings.ts';
import { EscadaClient } from '../client.ts';
import { withStore } from '../client/with-store.ts';
import type { TrainSpecInput } from '../schemas/spec/train-spec.ts';
import { loadSpec } from './lib/load-spec.ts';
import { warningLines } from './lib/warnings.ts';
import { print } from './lib/terminal.ts';

export const trainCommand = new Command('train')
  .description('Fine-tune with LoRA or full fine-tuning from a spec file, without a ladder')
  .argument('<spec>', 'JSON file; paths in it are relative to it')
  .option('--id <id>', 'workflow id')
  .option('--detach', 'only print the run id; `escada status RUN` follows it')
  .option('--json', 'print the outcome as one JSON object')
  .action(async (path: string, options: { id?: string; detach?: boolean; json?: boolean }) => {
    const settings = readSettings();
    const read = await withStore({ settings }, async (store) => await loadSpec(path, store));
    const spec = read as unknown as TrainSpecInput;
    const client = await EscadaClient.connect(settings);
    try {
      const handle = await client.startTraining(
        spec,
        options.id === undefined ? {} : { workflowId: options.id },
      );
      if (options.detach === true) {
        print(handle.workflowId);
        return;
      }
      const outcome = await handle.result();
      const trained = outcome.adapter ?? outcome.model;
      const path = await withStore({ settings }, async (store) => await store.localFolder(trained));
      if (options.json === true) {
        const paths = outcome.adapter === undefined ? { modelPath: path } : { adapterPath: path };
        print(JSON.stringify({ ...outcome, workflowId: handle.workflowId, ...paths }));
        return;
      }
      const { steps, rows, lossFirstNats, lossLastNats } = outcome;
      for (const line of warningLines(outcome)) print(line);
      print(
        `${steps} steps over ${rows} rows, loss ${lossFirstNats.toFixed(3)} → ${lossLastNats.toFixed(3)} nats`,
      );
      print(
        `${outcome.adapter === undefined ? 'model (Hugging Face folder)' : 'adapter (PEFT format)'}: ${path}`,
      );
    } finally {
      await client.close();
    }
  });
