import { Command } from 'commander';
import { queryRun } from '../client/query-run.ts';
import type { Progress } from '../schemas/outcome/decision.ts';
import { QUERY_PROGRESS } from '../schemas/plan/constants.ts';
import type { TrainProgress } from '../schemas/outcome/train-run.ts';
import { describeStep } from './lib/follow.ts';
import { pendingSteps } from './lib/pending.ts';
import { progressLines } from './lib/progress-lines.ts';
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
      const answer: Promise<Progress | TrainProgress> = queryRun(client.temporal, run, QUERY_PROGRESS);
      const progress = await answer.catch(() => null);
      if (options.json === true) {
        print(JSON.stringify({ status: description.status.name, progress, pending }));
        return;
      }
      print(`${run}: ${description.status.name}`);
      for (const line of progress === null ? [] : progressLines(progress)) print(line);
      for (const step of pending) print(`  running ${describeStep(step)}`);
    });
  });
