import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { canonicalJson } from '../../sdk/canonical-json.ts';
import { checkedLoraConfig } from '../../sdk/check-train-config.ts';
import { withScratch, writeRows } from '../../sdk/process/rows.ts';
import { sha256OfBytes, sha256OfFile } from '../../sdk/publish.ts';
import type { LoraConfig } from '../../../schemas/spec/lora-config.ts';
import type {
  BaseModel,
  TrainerDescription,
  TrainerV1,
  TrainRequest,
  TrainResult,
} from '../../sdk/contracts/trainer.ts';
import type { TrainerOptions } from '../index.ts';
import { requireAdapter } from './adapter.ts';
import { requireSupported } from './capabilities.ts';
import { dropCheckpoints, newestCheckpoint } from './checkpoints.ts';
import type { ResultOf } from './protocol.ts';
import { startTrainer, withLog, type StartedTrainer } from './trainer-process.ts';
import { TrainingWatch } from './training-watch.ts';

/** What one training works with. */
interface Training {
  readonly request: TrainRequest;
  readonly config: LoraConfig;
  readonly outDir: string;
  readonly rowsPath: string;
  readonly signal: AbortSignal;
}

/** A trainer that is a command: one process a training, from its handshake to its end. */
export class ProcessTrainer implements TrainerV1 {
  readonly specificationVersion = 'v1';
  readonly id: string;
  readonly #options: TrainerOptions;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  constructor(options: TrainerOptions) {
    this.id = options.id;
    this.#options = options;
  }

  async doDescribe(_model: BaseModel, signal: AbortSignal): Promise<TrainerDescription> {
    return await this.#use(signal, ({ hello }) => Promise.resolve(this.#describe(hello)));
  }

  async doProbe(signal: AbortSignal): Promise<string> {
    return await this.#use(signal, ({ hello: { name, version, build, capabilities } }) => {
      const { weightFormats, modelFiles, resume } = capabilities;
      const can = `weights ${weightFormats.join(', ')}; models ${modelFiles.join(', ')}; resume: ${resume}`;
      return Promise.resolve(`${[name, version, build].join(' ').trim()}; ${can}`);
    });
  }

  async doTrain(request: TrainRequest): Promise<TrainResult> {
    const config = checkedLoraConfig(request.config);
    const outDir = resolve(request.outDir);
    await mkdir(outDir, { recursive: true });
    return await withScratch(async (folder) => {
      const rowsPath = join(folder, 'rows.jsonl');
      await writeRows(rowsPath, request.rows);
      return await this.#use(request.signal, (started, signal) =>
        this.#train(started, { request, config, outDir, rowsPath, signal }),
      );
    });
  }

  /** Ends what runs; it fails with `TRAINER_CANCELLED`. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the plugin was closed'));
    await Promise.allSettled(this.#running);
  }

  /** Starts the command for `work` and makes sure that it has ended afterwards. */
  async #use<T>(
    given: AbortSignal,
    work: (started: StartedTrainer, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const signal = AbortSignal.any([given, this.#closing.signal]);
    const run = async (): Promise<T> => {
      const started = await startTrainer(this.#options, signal);
      const { process } = started;
      const result = work(started, signal).finally(() => process.close());
      // After the end: by then the whole log is read.
      return await result.catch((error: unknown) => {
        throw withLog(error, process.lastLog);
      });
    };
    const running = run();
    this.#running.add(running);
    return await running.finally(() => this.#running.delete(running));
  }

  async #train({ process, hello }: StartedTrainer, training: Training): Promise<TrainResult> {
    const { request, config, outDir, rowsPath, signal } = training;
    const { model } = request;
    const weightFormat = requireSupported(this.id, hello.capabilities, { config, model });
    const by = this.#describe(hello);
    const { path: modelPath, digest: modelDigest } = model;
    const inputs = sha256OfBytes(
      canonicalJson({ rows: await sha256OfFile(rowsPath), config, modelDigest, weightFormat }),
    );
    const identity = { inputs, by: sha256OfBytes(canonicalJson(by)) };
    const found = await newestCheckpoint(outDir, identity);
    const resume = by.resume === 'none' ? null : found;
    if (resume === null) await dropCheckpoints(outDir);
    const started = performance.now();
    const broken = new AbortController();
    const { onProgress } = request;
    const watch = new TrainingWatch({
      trainer: this.id,
      maySkip: config.nonFinite === 'skip',
      outDir,
      identity,
      resume,
      onProgress,
      onBroken: () => broken.abort(),
    });
    const params = { modelPath, modelDigest, weightFormat, rowsPath, outDir, config };
    const result = await process
      .request(
        'train',
        { ...params, resumeFrom: resume?.path ?? null },
        {
          signal: AbortSignal.any([signal, broken.signal]),
          stallMs: this.#options.stallMs,
          onEvent: (event) => watch.take(event),
        },
      )
      .finally(() => watch.settled());
    await requireAdapter(this.id, outDir, result);
    const { adapterPath, adapterSha256, steps, resumedFromStep } = result;
    const seconds = (performance.now() - started) / 1000;
    return { by, adapterPath, adapterSha256, steps, seconds, resumedFromStep, ...watch.summary() };
  }

  /** What is asked of the command is part of what it is: another argument may mean another result. */
  #describe({ name, version, build, capabilities }: ResultOf<'hello'>): TrainerDescription {
    const { command, env } = this.#options;
    const options = sha256OfBytes(canonicalJson({ command, env })).slice(0, 12);
    return { build: [name, version, build, options].join(' '), resume: capabilities.resume };
  }
}
