import { Command } from 'commander';
import { numberOption } from './lib/number-option.ts';
import { runQuickstart, type QuickstartOptions } from './lib/run-quickstart.ts';

const SCORE = { min: 0, max: 1, wanted: 'a score from 0 to 1, such as 0.8' };
const SEED = { min: 0, max: 2_147_483_647, integer: true, wanted: 'a whole number from 0 to 2147483647' };
const SECONDS = { min: 1, max: 31_536_000, integer: true, wanted: 'a whole number of seconds, such as 600' };

export const quickstartCommand = new Command('quickstart')
  .description('Server, worker and an adaptation run in one command: the example, or your own file')
  .option('--data <file>', 'your rows: CSV, TSV, JSONL or Parquet')
  .option('--input <column>', 'column that holds what the model is given')
  .option('--output <column>', 'column that holds what it should answer')
  .option('--instruction <text>', 'what to do with the input, for your own data')
  .option('--target <score>', 'score (0 to 1) at which the ladder ends', numberOption('--target', SCORE))
  .option('--seed <number>', 'seed of data order, split and training', numberOption('--seed', SEED))
  .option('--budget <seconds>', 'hard limit for the whole run', numberOption('--budget', SECONDS))
  .option('--spec <file>', 'a spec instead of the example')
  .option('--json', 'print one JSON object as the last line')
  .action(async (options: QuickstartOptions) => {
    process.exitCode = await runQuickstart(options);
  });
