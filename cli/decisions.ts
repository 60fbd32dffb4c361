import { Command } from 'commander';
import { print } from './lib/terminal.ts';
import { withClient } from './lib/with-client.ts';

export const decisionsCommand = new Command('decisions')
  .description('The decision record of every rung so far, one JSON object a line')
  .argument('<run>', 'workflow id')
  .action(async (run: string) => {
    await withClient(async (client) => {
      for (const record of await client.decisions(run)) print(JSON.stringify(record));
    });
  });
