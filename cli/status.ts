import { Command } from 'commander';
import { describeStep } from './lib/follow.ts';
import { pendingSteps } from './lib/pending.ts';
import { print } from './lib/terminal.ts';
import { withClient } from './lib/with-client.ts';

export const statusCommand = new Command('status')
  .description('What a run does now: phase, finished and running steps, loss and time left')
  .argument('<run>', 'workflow id')
  .option('--json', 'machine-readable')
  .action(async (run: string, options: { json?: boolean }) => {
    await withClient(async (client) => {
      const description = await client.describe(run);
      const pending = await pendingSteps(client, run);
      const progress = await client.progress(run).catch(() => null);
      if (options.json === true) {
        print(JSON.stringify({ status: description.status.name, progress, pending }));
        return;
      }
      print(`${run}: ${description.status.name}`);
      if (progress !== null) {
        print(`phase ${progress.phase}${progress.rung === null ? '' : `, rung ${progress.rung}`}`);
        for (const { node, seconds, cached } of progress.finished) {
          print(`  ${cached ? 'cached' : 'done  '} ${node.padEnd(28)} ${seconds.toFixed(1)} s`);
        }
      }
      for (const step of pending) print(`  running ${describeStep(step)}`);
    });
  });
