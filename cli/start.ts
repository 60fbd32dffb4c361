import { Command } from 'commander';
import { readSettings } from '../runtime/settings.ts';
import { EscadaClient } from '../client.ts';
import { withStore } from '../client/with-store.ts';
import { loadSpec } from './lib/load-spec.ts';
import { print } from './lib/terminal.ts';

export const startCommand = new Command('start')
  .description('Start an adaptation run from a spec file; prints the run id')
  .argument('<spec>', 'JSON file; paths in it are relative to it')
  .option('--id <id>', 'workflow id')
  .action(async (path: string, options: { id?: string }) => {
    const settings = readSettings();
    const spec = await withStore({ settings }, async (store) => await loadSpec(path, store));
    const client = await EscadaClient.connect(settings);
    try {
      const handle = await client.startAdaptation(
        spec,
        options.id === undefined ? {} : { workflowId: options.id },
      );
      print(handle.workflowId);
    } finally {
      await client.close();
    }
  });
