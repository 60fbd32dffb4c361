import { copyFile } from 'node:fs/promises';
import { Command } from 'commander';
import { FileStore } from '../activities/artifacts/file-store.ts';
import { readSettings } from '../activities/shared/settings.ts';
import { EscadaFailure } from '../plugins/api/failure.ts';
import { renderOutcome } from './lib/summary.ts';
import { print } from './lib/terminal.ts';
import { withClient } from './lib/with-client.ts';

export const reportCommand = new Command('report')
  .description('Figures of a finished run; writes its HTML report')
  .argument('<run>', 'workflow id')
  .option('--out <file>', 'where to write the HTML report (default: <run>.html)')
  .option('--json', 'print the whole outcome as JSON instead')
  .action(async (run: string, options: { out?: string; json?: boolean }) => {
    await withClient(async (client) => {
      const { status } = await client.describe(run);
      if (status.name !== 'COMPLETED') {
        throw new EscadaFailure({
          code: 'RUN_NOT_FOUND',
          message: `Run ${run} is ${status.name}: it has no report.`,
        });
      }
      const outcome = await client.handle(run).result();
      if (options.json === true) {
        print(JSON.stringify(outcome));
        return;
      }
      const path = options.out ?? `${run}.html`;
      await copyFile(await new FileStore(readSettings().storeRoot).localPath(outcome.report.html), path);
      print(`${renderOutcome(outcome)}\n\nReport: ${path}`);
    });
  });
