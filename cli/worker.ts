import { Argument, Command } from 'commander';
import { ROLES } from '../schemas/plan/queues.ts';
import { parseRoles, runWorker } from '../worker.ts';

export const workerCommand = new Command('worker')
  .description('Run a worker until it is stopped')
  .addArgument(
    new Argument('[roles...]', 'what it does: all roles when none is named').choices(['all', ...ROLES]),
  )
  .action(async (words: readonly string[]) => {
    const roles = parseRoles(words);
    // The words are checked by then: what is left is a list.
    await runWorker(typeof roles === 'string' ? [] : roles);
  });
