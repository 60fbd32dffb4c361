import { Command, Option } from 'commander';
import { placeFile } from '../plugins/sdk/place-output.ts';
import { withStore } from '../client/with-store.ts';
import { readSettings } from '../runtime/settings.ts';
import { fileNameOf } from './lib/file-name.ts';
import { outcomeOf } from './lib/outcome.ts';
import { renderOutcome } from './lib/summary.ts';
import { print } from './lib/terminal.ts';
import { withClient } from './lib/with-client.ts';

const EXTENSIONS = { html: 'html', markdown: 'md', json: 'json' } as const;
type Format = keyof typeof EXTENSIONS;

interface Options {
  readonly format: Format;
  readonly out?: string;
  readonly json?: boolean;
}

export const reportCommand = new Command('report')
  .description('Figures of a finished run; writes its report')
  .argument('<run>', 'workflow id')
  .addOption(
    new Option('--format <format>', 'of the report').choices(Object.keys(EXTENSIONS)).default('html'),
  )
  .option('--out <file>', 'where to write it, - for standard output (default: <run>.html, .md or .json)')
  .option('--json', 'print the outcome as JSON instead, and write nothing')
  .action(async (run: string, { format, out, json }: Options) => {
    await withClient(async (client) => {
      const outcome = await outcomeOf(client, run);
      if (json === true) {
        print(JSON.stringify(outcome));
        return;
      }
      const bytes = await withStore(
        { settings: readSettings() },
        async (store) => await store.readBytes(outcome.report[format]),
      );
      if (out === '-') {
        process.stdout.write(bytes);
        return;
      }
      const path = out ?? `${fileNameOf(run)}.${EXTENSIONS[format]}`;
      await placeFile(bytes, path, 'The report');
      print(`${renderOutcome(outcome)}\n\nReport: ${path}`);
    });
  });
