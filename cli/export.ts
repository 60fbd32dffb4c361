import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { placeFile, placeFolder } from '../plugins/sdk/place-output.ts';
import { withStore } from '../client/with-store.ts';
import { readSettings } from '../runtime/settings.ts';
import { exportFormatSchema, type ExportFormat } from '../schemas/spec/export-format.ts';
import type { ReportData } from '../core/report/report-data.ts';
import type { ExportOutcome } from '../schemas/outcome/export-run.ts';
import { exportSpec } from './lib/export-spec.ts';
import { requireTarget } from './lib/export-target.ts';
import { fileNameOf } from './lib/file-name.ts';
import { outcomeOf } from './lib/outcome.ts';
import { sizeBytes } from './lib/size.ts';
import { print } from './lib/terminal.ts';
import { withClient } from './lib/with-client.ts';

interface Options {
  readonly format: ExportFormat;
  readonly base: 'trained' | 'stored';
  readonly out?: string;
  readonly maxDrift?: number;
  readonly maxShardSize?: number;
  readonly json?: boolean;
}

function positive(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError('must be a number above 0, in nats per token');
}

/** Copies the export to where the user wants it. */
async function place({ export: done }: ExportOutcome, path: string): Promise<void> {
  await withStore({ settings: readSettings() }, async (store) => {
    if (done.form === 'file') await placeFile(await store.localPath(done.export), path, 'The export');
    else await placeFolder(await store.localFolder(done.export), path, 'The export');
  });
}

/** `<run>.gguf`, or a folder `<run>-<format>`. */
const nameOf = (run: string, format: ExportFormat): string =>
  `${fileNameOf(run)}-${format}${format.startsWith('gguf') ? '.gguf' : ''}`;

export const exportCommand = new Command('export')
  .description('Export the winning model (GGUF, safetensors or bitsandbytes)')
  .argument('<run>', 'workflow id of an adaptation run')
  .addOption(
    new Option('--format <format>', 'of the model').choices(exportFormatSchema.options).default('gguf-q8_0'),
  )
  .addOption(
    new Option('--base <weights>', 'weights the adapter is added to')
      .choices(['trained', 'stored'])
      .default('trained'),
  )
  .option(
    '--out <path>',
    'file (GGUF) or new folder (safetensors, bnb-4bit); default: a name in the current folder',
  )
  .option('--max-drift <nats>', 'largest mean difference of log-probabilities per token to accept', positive)
  .option(
    '--max-shard-size <size>',
    'of a folder: spread weights over files of at most this size, such as 5GB',
    sizeBytes,
  )
  .option('--json', 'print the outcome as one JSON object')
  .action(async (run: string, { format, base, out, maxDrift, maxShardSize, json }: Options) => {
    const path = resolve(out ?? nameOf(run, format));
    await requireTarget(path, format.startsWith('gguf') ? 'file' : 'folder');
    await withClient(async (client) => {
      const outcome = await outcomeOf(client, run);
      const limit = maxDrift === undefined ? {} : { maxDriftNats: maxDrift };
      const shards = maxShardSize === undefined ? {} : { maxShardBytes: maxShardSize };
      const data = (await withStore(
        { settings: readSettings() },
        async (store) => await store.readJson(outcome.report.json),
      )) as ReportData;
      const summary = `Export ${run} as ${format}`;
      const spec = exportSpec(data, { format, base, ...limit, ...shards });
      const handle = await client.startPipeline<ExportOutcome>(spec, { summary });
      const done = await handle.result();
      await place(done, path);
      if (json === true) {
        print(JSON.stringify({ ...done.export, path, workflowId: handle.workflowId }));
        return;
      }
      const { drift, merged, sizeBytes } = done.export;
      print(`${format}: ${(sizeBytes / 1e6).toFixed(1)} MB, ${merged} layers merged`);
      if (drift !== null) {
        const { rows, equalAnswers, logProbDifferenceNats } = drift;
        // One that is not finite is refused.
        const far = logProbDifferenceNats?.toPrecision(2) ?? '?';
        print(`${equalAnswers} of ${rows} answers equal to base and adapter, ${far} nats per token apart`);
      }
      print(path);
    });
  });
