/**
 * Records the histories that `test/histories/replay.test.ts` replays: `node tools/acceptance/record-history.ts [NAME …]`.
 * Every run is a real one, on a server and a worker of its own with the tiny checkpoint. A change that a recorded
 * history does not survive needs `patched(…)` and a new recording under another name, not a new recording of this one.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { WorkflowHandle } from '@temporalio/client';
import type { Approval } from '../../schemas/outcome/approval.ts';
import { reasonToSkip, ROOT } from '../../test/whole/support/needs.ts';
import { Place } from '../../test/whole/support/place.ts';
import { until } from '../../test/whole/support/processes.ts';
import { writeRows } from '../../test/whole/support/runs.ts';
import { TestServer } from '../../test/whole/support/server.ts';
import { tinySpec } from '../../test/whole/support/specs.ts';

const FOLDER = join(ROOT, 'test/histories');

/** A budget that ends in the final training: zero-shot and ICL are measured, PEFT is cut off. */
const LONG_TRAINING = { peft: { learningRates: [1e-3], config: { r: 4, maxSteps: 100_000 } } };

/** What is recorded: a workflow, its arguments, and what is done to it while it runs. */
interface Recording {
  readonly type: string;
  readonly args: readonly unknown[];
  readonly during?: (handle: WorkflowHandle) => Promise<unknown>;
}

const training = async (handle: WorkflowHandle) =>
  await until('the final training', async () => {
    const { raw } = await handle.describe();
    return (raw.pendingActivities ?? []).find(({ activityId }) => activityId === 'peft/train');
  });

const RECORDINGS: Readonly<Record<string, Recording>> = {
  'adapt-ladder': { type: 'adaptModel', args: [tinySpec()] },
  'adapt-invalid-spec': { type: 'adaptModel', args: [{ ...tinySpec(), targt: 1 }] },
  'adapt-cancelled': {
    type: 'adaptModel',
    args: [tinySpec({ rungs: LONG_TRAINING })],
    during: async (handle) => {
      await training(handle);
      await handle.cancel();
    },
  },
  'adapt-no-rows': {
    type: 'adaptModel',
    args: [tinySpec({ task: { ...tinySpec().task, maxPromptTokens: 8 } })],
  },
  'adapt-only-prompting': {
    type: 'adaptModel',
    args: [tinySpec({ profile: { tuningAllowed: false }, target: 0.9 })],
  },
  'pipeline-map': {
    type: 'runPipeline',
    args: [
      {
        name: 'read twice',
        inputs: { columns: { input: 'input', output: 'output' } },
        nodes: [
          {
            id: 'files',
            form: 'map',
            over: ['rows.csv', 'rows.csv'],
            concurrency: 2,
            body: [
              {
                id: 'read',
                form: 'step',
                uses: 'curate.read@1',
                with: { source: { path: '${item}' }, columns: '${inputs.columns}' },
              },
            ],
          },
        ],
      },
    ],
  },
  'adapt-many-checkpoints': {
    type: 'adaptModel',
    args: [
      tinySpec({ rungs: { peft: { learningRates: [1e-3], config: { r: 4, maxSteps: 200, saveSteps: 1 } } } }),
    ],
  },
  'adapt-rejected': {
    type: 'adaptModel',
    args: [tinySpec({ approvals: { rungs: ['peft'], release: true } })],
    during: async (handle) => {
      for (const id of ['approve-peft', 'release']) {
        const approval = await until('the question', async () => {
          const waiting = await handle.query<readonly Approval[], []>('approvals').catch(() => []);
          return waiting.find((one) => one.id === id);
        });
        const verdict = id === 'release' ? 'reject' : 'approve';
        await handle.executeUpdate('approve', { args: [{ id, digest: approval.digest, verdict }] });
      }
    },
  },
  'train-model': {
    type: 'trainModel',
    args: [
      {
        name: 'tiny',
        task: { instruction: 'Say it.', maxPromptTokens: 120, maxAnswerTokens: 32 },
        data: { source: { path: 'rows.csv' }, columns: { input: 'input', output: 'output' } },
        config: { r: 4, maxSteps: 200, saveSteps: 1 },
      },
    ],
  },
  'unknown-type': { type: 'adaptModle', args: [{}] },
};

/** Names and folders of this machine have no place in a committed file; replay looks at neither. */
const scrub = (json: string) =>
  json.replaceAll(/"identity": ?"[^"]*"/g, '"identity": "worker"').replaceAll(ROOT, '/escada/');

async function record(place: Place, name: string, { type, args, during }: Recording): Promise<string> {
  const { temporal } = await place.client();
  const { taskQueue } = place.settings;
  const handle = await temporal.workflow.start(type, {
    args: [...args],
    taskQueue,
    workflowId: `recorded-${name}`,
  });
  await during?.(handle);
  const how = await handle.result().then(
    () => 'completed',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  const history = await handle.fetchHistory();
  await writeFile(join(FOLDER, `${name}.json`), `${scrub(historyToJSON(history))}\n`);
  return `${name}: ${how}, ${history.events?.length ?? 0} events`;
}

async function main(): Promise<void> {
  const { positionals } = parseArgs({ allowPositionals: true });
  const reason = await reasonToSkip({ engine: true });
  if (reason !== false) throw new Error(reason);
  const server = await TestServer.start();
  const place = await Place.open(server, 'history');
  try {
    await writeRows(place);
    await mkdir(FOLDER, { recursive: true });
    await place.startWorker();
    for (const [name, recording] of Object.entries(RECORDINGS)) {
      if (positionals.length > 0 && !positionals.includes(name)) continue;
      process.stdout.write(`${await record(place, name, recording)}\n`);
    }
  } finally {
    await place.close();
    await server.stop();
  }
}

await main();
