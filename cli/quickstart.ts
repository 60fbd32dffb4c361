import { Command } from 'commander';
import { runQuickstart, type QuickstartOptions } from './lib/run-quickstart.ts';

export const quickstartCommand = new Command('quickstart')
  .description('Server, worker and a climb in one command: the example, or your own file')
  .option('--data <file>', 'your rows: CSV, TSV, JSONL or Parquet')
  .option('--input <column>', 'column that holds what the model is given')
  .option('--output <column>', 'column that holds what it should answer')
  .option('--instruction <text>', 'what to do with the input, for your own data')
  .option('--target <score>', 'score (0 to 1) at which climbing stops', Number)
  .option('--seed <number>', 'seed of data order, split and training', Number)
  .option('--budget <seconds>', 'hard limit for the whole climb', Number)
  .option('--spec <file>', 'a spec instead of the example')
  .option('--json', 'print one JSON object as the last line')
  .action(async (options: QuickstartOptions) => {
    process.exitCode = await runQuickstart(options);
  });
