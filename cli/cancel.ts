import { Command } from 'commander';
import { print } from './lib/terminal.ts';
import { withClient } from './lib/with-client.ts';

export const cancelCommand = new Command('cancel')
  .description('Cancel a run; a training in progress writes a checkpoint first')
  .argument('<run>', 'workflow id')
  .action(async (run: string) => {
    await withClient(async (client) => {
      await client.describe(run);
      await client.handle(run).cancel();
      print(`cancellation of ${run} requested`);
    });
  });
