/** Our side of `exports.ts`: one engine process that trains, exports and answers. */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { EngineProcess } from '../../plugins/nf4-lora/worker/engine-process.ts';
import type { WeightFormat } from '../../plugins/nf4-lora/model-options.ts';
import { METHODS, ROWS } from '../../plugins/nf4-lora/worker/protocol.ts';
import { readRows, writeRows } from '../../plugins/sdk/process/rows.ts';
import type { ExportFormat } from '../../schemas/spec/export-format.ts';
import type { LetterRow } from './letters.ts';

const TRAINING = { learningRate: 1e-3, warmupSteps: 5, numTrainEpochs: 1, saveSteps: 8 };
const QUANTIZATION = { blockSize: 64, doubleQuant: true } as const;

/** A greedy reply, and tokens of prompt and reply. */
export interface OurReply {
  readonly text: string;
  readonly promptTokens: number;
  readonly newTokens: number;
}

export class ExportingEngine {
  readonly #process: EngineProcess;
  readonly #room: string;
  readonly #base: string;

  private constructor(process: EngineProcess, room: string, base: string) {
    this.#process = process;
    this.#room = room;
    this.#base = base;
  }

  /** `room` is an empty folder for what is read and written; `base` the model. */
  static async start(room: string, base: string): Promise<ExportingEngine> {
    return new ExportingEngine(await EngineProcess.start(), room, base);
  }

  async close(): Promise<void> {
    await this.#process.close();
  }

  async #load(path: string, weightFormat: WeightFormat): Promise<void> {
    await this.#process.request('load', { path, weightFormat, ...QUANTIZATION });
  }

  /** One epoch of QLoRA; returns the adapter's folder. */
  async train(rows: readonly LetterRow[], onStep: (text: string) => void): Promise<string> {
    const rowsPath = join(this.#room, 'rows.jsonl');
    await writeRows(rowsPath, rows);
    await this.#load(this.#base, 'nf4');
    const outDir = join(this.#room, 'training');
    await mkdir(outDir, { recursive: true });
    const params = { rowsPath, outDir, config: METHODS.train.params.shape.config.parse(TRAINING) };
    const { adapterPath, steps, lossFirstNats, lossLastNats } = await this.#process.request('train', params);
    if (adapterPath === undefined) throw new Error('the training left no adapter');
    onStep(`${steps} steps, loss ${lossFirstNats.toFixed(2)} to ${lossLastNats.toFixed(2)} nats`);
    return adapterPath;
  }

  /** Writes an export of the weights as the file has them, so that both sides start from the same. */
  async export(name: string, format: ExportFormat, adapterPath?: string): Promise<string> {
    const outPath = resolve(this.#room, name);
    const base = { path: this.#base, weightFormat: 'f32', ...QUANTIZATION } as const;
    await this.#process.request('export', { ...base, format, adapterPath, outPath });
    return outPath;
  }

  /** Greedy replies of at most `maxNewTokens`, computed in f32. */
  async replies(
    path: string,
    rows: readonly LetterRow[],
    maxNewTokens: number,
    adapterPath?: string,
  ): Promise<OurReply[]> {
    const [requestsPath, outPath] = [join(this.#room, 'in.jsonl'), join(this.#room, 'out.jsonl')];
    await writeRows(
      requestsPath,
      rows.map(({ id, messages }) => ({ id, messages })),
    );
    await this.#load(path, 'f32');
    const sampling = { batchRows: rows.length, temperature: 0, topP: 1, seed: 0, stop: [] };
    await this.#process.request('generate', {
      requestsPath,
      outPath,
      adapterPath,
      maxNewTokens,
      ...sampling,
    });
    return readRows(outPath, ROWS.generate.output);
  }
}
