import { Argument, Command } from 'commander';
import { parseRoles, runWorker } from '../worker.ts';

export const workerCommand = new Command('worker')
  .description('Run a worker until it is told to stop')
  .addArgument(
    new Argument('[roles]', 'what it does').choices(['all', 'control', 'cpu', 'gpu']).default('all'),
  )
  .action(async (roles: string) => {
    await runWorker(parseRoles(roles) ?? []);
  });
