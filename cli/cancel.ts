import { Command } from 'commander';
import { print } from './lib/terminal.ts';
import { withClient } from './lib/with-client.ts';

export const cancelCommand = new Command('cancel')
  .description('Cancel a run; what it finished and the newest checkpoint of a training stay in the store')
  .argument('<run>', 'workflow id')
  .action(async (run: string) => {
    await withClient(async (client) => {
      await client.describe(run);
      await client.handle(run).cancel();
      print(`cancellation of ${run} requested`);
    });
  });
