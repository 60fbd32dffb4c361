/**
 * Greedy decoding in llama.cpp through node-llama-cpp. All rows go through the model in lock step, one batch a token:
 * what its own `evaluate` makes of parallel sequences falls apart into batches of whoever was picked first.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** What one position is asked for. */
interface Wanted {
  readonly generateNext: {
    readonly token: true;
    readonly options: { readonly temperature: 0 };
    readonly logits?: { readonly filter: { readonly tokens: readonly number[]; readonly includeTop: 2 } };
  };
}
interface Picked {
  readonly next: { readonly token?: number | null; readonly logits?: ReadonlyMap<number, number> };
}
interface Sequence {
  controlledEvaluate(input: readonly (number | [number, Wanted])[]): Promise<(Picked | undefined)[]>;
  clearHistory(): Promise<void>;
}
interface Context {
  getSequence(): Sequence;
  printTimings(): Promise<void>;
  dispose(): Promise<void>;
}
export interface LlamaModel {
  tokenize(text: string, specialTokens: boolean): number[];
  detokenize(tokens: readonly number[]): string;
  isEogToken(token: number): boolean;
  createContext(options: object): Promise<Context>;
}
interface Llama {
  readonly systemInfo: string;
  readonly llamaCppRelease: { readonly release: string };
  loadModel(options: { modelPath: string }): Promise<LlamaModel>;
  dispose(): Promise<void>;
}
/** The part of the package that is used here; it is no dependency, so its own types are not at hand. */
interface Package {
  readonly LlamaLogLevel: { readonly error: string; readonly info: string };
  readonly getLlama: (options: object) => Promise<Llama>;
}

/**
 * llama.cpp on the CPU with so many threads; `folder` has node-llama-cpp in its node_modules. `onLog` gets what it logs
 * of its doings; without it only errors are shown.
 */
export async function openLlama(
  folder: string,
  threads: number,
  onLog?: (text: string) => void,
): Promise<Llama> {
  const found = createRequire(join(folder, 'package.json')).resolve('node-llama-cpp');
  const { getLlama, LlamaLogLevel } = (await import(pathToFileURL(found).href)) as Package;
  const log = onLog
    ? { logLevel: LlamaLogLevel.info, logger: (_level: string, text: string) => onLog(text) }
    : { logLevel: LlamaLogLevel.error };
  return getLlama({ gpu: false, build: 'never', maxThreads: threads, ...log });
}

export interface Settings {
  readonly threads: number;
  /** Rows that are decoded together. */
  readonly rows: number;
  /** Prompt and new tokens of a row. */
  readonly rowTokens: number;
  /** Element type of cached keys and values; the program's default is F16. */
  readonly cacheType?: 'F16' | 'F32';
  /** LoRA adapter as GGUF. */
  readonly lora?: string | undefined;
  readonly flashAttention?: boolean;
  /** Keeps the times that `logTimings` reports. */
  readonly timings?: boolean;
}

/** A token, and how far its logit was above the next best (NaN when not asked for). */
export interface Step {
  readonly token: number;
  readonly gap: number;
}

/** Rows of a context; each call of `decode` starts from empty caches. */
export class GreedyRows {
  readonly #context: Context;
  readonly #sequences: readonly Sequence[];

  private constructor(context: Context, rows: number) {
    this.#context = context;
    this.#sequences = Array.from({ length: rows }, () => context.getSequence());
  }

  static async open(model: LlamaModel, settings: Settings): Promise<GreedyRows> {
    const { threads, rows, rowTokens, cacheType, lora, flashAttention, timings } = settings;
    const context = await model.createContext({
      threads: { ideal: threads, min: threads },
      sequences: rows,
      contextSize: rowTokens,
      flashAttention: flashAttention ?? 'auto',
      performanceTracking: timings ?? false,
      ...(cacheType && { experimentalKvCacheKeyType: cacheType, experimentalKvCacheValueType: cacheType }),
      ...(lora !== undefined && { lora: { adapters: [{ filePath: lora }] } }),
    });
    return new GreedyRows(context, rows);
  }

  async close(): Promise<void> {
    await this.#context.dispose();
  }

  /** Has llama.cpp log how long its passes have taken since it last did. */
  async logTimings(): Promise<void> {
    await this.#context.printTimings();
  }

  /**
   * `count` tokens after each prompt, past any end token. `onStep` is called when all rows have their next token.
   * Throws when there are more prompts than rows.
   */
  async decode(
    prompts: readonly (readonly number[])[],
    count: number,
    { gaps = false, onStep = (): void => undefined } = {},
  ): Promise<Step[][]> {
    if (prompts.length > this.#sequences.length) throw new Error(`${prompts.length} prompts, fewer rows`);
    for (const sequence of this.#sequences) await sequence.clearHistory();
    const steps: Step[][] = prompts.map(() => []);
    let feeds = prompts;
    for (let at = 0; at < count; at += 1) {
      const picked = await Promise.all(
        feeds.map((feed, row) => next(this.#sequences[row] as Sequence, feed, gaps)),
      );
      picked.forEach((step, row) => steps[row]?.push(step));
      feeds = picked.map(({ token }) => [token]);
      onStep();
    }
    return steps;
  }
}

async function next(sequence: Sequence, feed: readonly number[], gaps: boolean): Promise<Step> {
  const wanted: Wanted = {
    generateNext: {
      token: true,
      options: { temperature: 0 },
      ...(gaps && { logits: { filter: { tokens: [], includeTop: 2 } } }),
    },
  };
  const last = feed.at(-1);
  if (last === undefined) throw new Error('an empty prompt');
  const results = await sequence.controlledEvaluate([...feed.slice(0, -1), [last, wanted]]);
  const { token, logits } = results.at(-1)?.next ?? {};
  if (token == null) throw new Error('llama.cpp picked no token');
  const [best = NaN, second = NaN] = [...(logits?.values() ?? [])].sort((a, b) => b - a);
  return { token, gap: best - second };
}
