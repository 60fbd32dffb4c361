/**
 * `npm run parity:trainer [-- --json]`: the Python trainer of `examples/process-trainer`, with real PyTorch and PEFT.
 * Its adapter means the same to the engine; killed, it resumes to the same bytes, by itself and in a workflow on a real
 * server. Development only: it finds or makes the reference environment (`venv.ts`). Exit code 1 when a figure misses.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { print, say, table } from '../../cli/lib/terminal.ts';
import type { PluginHost } from '../../plugins/host/host.ts';
import { loadHost } from '../../plugins.ts';
import { countTokens, score } from '../../plugins/sdk/model-calls.ts';
import type { BaseModel, TrainResult } from '../../plugins/sdk/contracts/trainer.ts';
import { loraConfigSchema, type LoraConfig } from '../../schemas/spec/lora-config.ts';
import { baseModel } from '../../test/plugins/nf4-lora/support.ts';
import { TINY_MODEL } from '../../test/whole/support/needs.ts';
import { Place } from '../../test/whole/support/place.ts';
import { processesOf, until } from '../../test/whole/support/processes.ts';
import { writeRows } from '../../test/whole/support/runs.ts';
import { TestServer } from '../../test/whole/support/server.ts';
import { ensureEngine } from '../../runtime/bootstrap/engine.mjs';
import { createProgress } from '../../runtime/bootstrap/progress.mjs';
import { ROOT } from './programs.ts';
import { referencePython } from './venv.ts';

const TRAINER = 'transformers-peft';
const { signal } = new AbortController();

/** Two float32 implementations with other summation orders. */
const LOSS_LIMIT = 1e-4;

/** Rows of the same length in tokens, so that cutting the last token off cuts every end of turn off. */
const ROWS = Array.from({ length: 8 }, (_, at) => ({
  id: `r${at}`,
  messages: [{ role: 'user', content: `Describe a kettle that holds ${at} litres.` }] as const,
  answer: `Boils ${at % 5} cups quickly.`,
}));

interface Check {
  readonly check: string;
  readonly measured: string;
  readonly limit: string;
  readonly passed: boolean;
}

const settings = (changes: Partial<LoraConfig>): LoraConfig => ({
  ...loraConfigSchema.parse({
    r: 4,
    loraAlpha: 8,
    learningRate: 1e-2,
    warmupSteps: 2,
    saveSteps: 3,
    seed: 3407,
  }),
  ...changes,
});

/** Trains through the contract; at `killAt` steps the command is killed. */
async function train(
  host: PluginHost,
  model: BaseModel,
  outDir: string,
  changes: Partial<LoraConfig>,
  killAt?: number,
): Promise<TrainResult> {
  return await host.registry.trainers.get(TRAINER).doTrain({
    model,
    rows: ROWS,
    config: settings(changes),
    outDir,
    signal,
    onProgress: ({ step }) => {
      const mine = processesOf(process.env['ESCADA_HOME'] ?? '').find(({ command }) =>
        /train\.py$/.test(command),
      );
      if (step === killAt && mine !== undefined) process.kill(mine.pid, 'SIGKILL');
    },
  });
}

/** The loss that PyTorch reports for an adapter, and the engine's for the same adapter on the same tokens. */
async function checkLoss(host: PluginHost, model: BaseModel, room: string): Promise<Check[]> {
  const { provider, id, options } = model;
  const engine = host.registry.languageModel({ provider, id, options });
  const scored = ROWS.map((row) => ({ id: row.id, messages: row.messages, continuations: [row.answer] }));
  const asked = ROWS.map((row) => ({ id: row.id, messages: row.messages }));
  const counts = await countTokens(engine, { rows: asked, signal });
  const plain = await score(engine, { rows: scored, signal });
  const lengths = counts.map(
    ({ promptTokens }, at) => promptTokens + (plain.scores[at]?.continuations[0]?.tokens ?? 0),
  );
  if (new Set(lengths).size !== 1) throw new Error(`rows of ${lengths.join(', ')} tokens`);
  // Every row in every batch and a constant rate: the loss of step n + 1 is that of the adapter of n steps.
  const whole = {
    perDeviceTrainBatchSize: ROWS.length,
    lrSchedulerType: 'constant',
    warmupSteps: 0,
  } as const;
  const cut = { ...whole, maxSeqLengthTokens: lengths[0] ?? 0 };
  const six = await train(host, model, join(room, 'six'), { ...cut, maxSteps: 6 });
  const seven = await train(host, model, join(room, 'seven'), { ...cut, maxSteps: 7 });
  const adapted = await score(engine, { rows: scored, adapterPath: six.adapterPath, signal });
  const lossOf = ({ scores }: typeof plain) => {
    const all = scores.flatMap(({ continuations }) => continuations);
    const sum = (pick: (one: (typeof all)[number]) => number) =>
      all.reduce((total, one) => total + pick(one), 0);
    return {
      tokens: sum((one) => one.tokens),
      lossNats: -sum((one) => one.logProbNats) / sum((one) => one.tokens),
    };
  };
  const off = (ours: number, theirs: number) => Math.abs(ours - theirs) / theirs;
  const compare = (check: string, ours: number, theirs: number): Check => ({
    check,
    measured: `${off(ours, theirs).toExponential(1)} (${theirs.toFixed(4)} nats)`,
    limit: `<= ${LOSS_LIMIT}`,
    passed: off(ours, theirs) <= LOSS_LIMIT,
  });
  const tokens = lossOf(plain).tokens;
  return [
    compare('loss of the base: engine against PyTorch', lossOf(plain).lossNats, six.lossFirstNats),
    compare('loss with the adapter: engine against PEFT', lossOf(adapted).lossNats, seven.lossLastNats),
    {
      check: 'labelled tokens of a step',
      measured: `${seven.labelledTokens / 7}`,
      limit: `= ${tokens}`,
      passed: seven.labelledTokens === 7 * tokens,
    },
  ];
}

/** kill -9 in the middle, through the contract. */
async function checkResume(host: PluginHost, model: BaseModel, room: string): Promise<Check> {
  const long = { maxSteps: 12, perDeviceTrainBatchSize: 2, gradientAccumulationSteps: 2, loraDropout: 0.1 };
  const calm = await train(host, model, join(room, 'calm'), long);
  const hit = train(host, model, join(room, 'hit'), long, 8);
  const code = await hit.then(
    () => 'nothing',
    (error: unknown) => (error as { code?: string }).code,
  );
  const resumed = await train(host, model, join(room, 'hit'), long);
  const same = JSON.stringify(resumed.losses) === JSON.stringify(calm.losses);
  return {
    check: 'kill -9 and resume: adapter and loss curve',
    measured: `${code}, from step ${resumed.resumedFromStep}, ${resumed.adapterSha256.slice(0, 12)}`,
    limit: `= ${calm.adapterSha256.slice(0, 12)}`,
    passed:
      code === 'TRAINER_CRASHED' &&
      resumed.resumedFromStep === 6 &&
      same &&
      resumed.adapterSha256 === calm.adapterSha256,
  };
}

/** `trainModel` on a Temporal server, undisturbed and with the command killed after a checkpoint. */
async function checkWorkflow(server: TestServer): Promise<Check> {
  const run = async (name: string, kill: boolean) => {
    const place = await Place.open(server, name);
    try {
      await writeRows(place);
      await place.startWorker();
      const handle = await (
        await place.client()
      ).startTraining({
        name: 'python',
        task: { instruction: 'Say it.', maxPromptTokens: 120, maxAnswerTokens: 32 },
        data: { source: { path: 'rows.csv' }, columns: { input: 'input', output: 'output' } },
        model: { id: TINY_MODEL, options: { weightFormat: 'f32' } },
        trainer: TRAINER,
        config: { r: 4, loraAlpha: 8, maxSteps: 40, saveSteps: 2, loraDropout: 0.1 },
      });
      if (kill) {
        const pending = async () => {
          const { raw } = await handle.describe();
          const details = raw.pendingActivities?.[0]?.heartbeatDetails?.payloads?.[0]?.data;
          if (details == null) return undefined;
          const { checkpointStep = 0 } = JSON.parse(Buffer.from(details).toString()) as {
            checkpointStep?: number;
          };
          return checkpointStep > 0
            ? processesOf(place.home).find(({ command }) => /train\.py$/.test(command))
            : undefined;
        };
        process.kill((await until('a checkpoint', pending, { everyMs: 20 })).pid, 'SIGKILL');
      }
      const { failedAttempts, adapterSha256 = 'no adapter' } = await handle.result();
      return { failedAttempts, adapterSha256 };
    } finally {
      await place.close();
    }
  };
  const calm = await run('calm', false);
  const killed = await run('killed', true);
  return {
    check: 'trainModel on a server, command killed: adapter',
    measured: `${killed.failedAttempts} failed attempt, ${killed.adapterSha256.slice(0, 12)}`,
    limit: `1, = ${calm.adapterSha256.slice(0, 12)}`,
    passed: killed.failedAttempts === 1 && killed.adapterSha256 === calm.adapterSha256,
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
  const progress = createProgress();
  await ensureEngine({ root: ROOT, progress });
  progress.close();
  const python = await referencePython(say);
  const room = await mkdtemp(join(tmpdir(), 'escada-trainer-'));
  process.env['PATH'] = [dirname(python), process.env['PATH'] ?? ''].join(delimiter);
  process.env['ESCADA_CONFIG'] = join(ROOT, 'examples/process-trainer/escada.json');
  process.env['ESCADA_HOME'] = room;
  const server = await TestServer.start();
  const host = await loadHost();
  try {
    const model = baseModel(TINY_MODEL, 'f32');
    const checks = [
      ...(await checkLoss(host, model, room)),
      await checkResume(host, model, room),
      await checkWorkflow(server),
    ];
    const row = (one: Check) => [one.passed ? 'passed' : 'MISSED', one.check, one.measured, one.limit];
    print(
      values.json ? JSON.stringify(checks) : table([['', 'check', 'measured', 'limit'], ...checks.map(row)]),
    );
    if (checks.some(({ passed }) => !passed)) process.exitCode = 1;
  } finally {
    await host.close();
    await server.stop();
    await rm(room, { recursive: true, force: true });
  }
}

await main();
