/** llama.cpp's side of `exports.ts`: the same prompts, and where its replies leave ours. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { OurReply } from './exports-engine.ts';
import type { LetterRow } from './letters.ts';
import { repliesSchema, type LlamaTask, type Reply } from './llama/messages.ts';
import { say } from '../../cli/lib/terminal.ts';
import { runForJson } from './programs.ts';

const SYSTEM = 'You are a helpful AI assistant named SmolLM, trained by Hugging Face';

/** The prompt as the model's chat template writes it. */
const templated = ({ messages }: LetterRow): string =>
  [
    `<|im_start|>system\n${SYSTEM}<|im_end|>\n`,
    ...messages.map(({ role, content }) => `<|im_start|>${role}\n${content}<|im_end|>\n`),
    '<|im_start|>assistant\n',
  ].join('');

/** Where a reply of llama.cpp leaves ours. */
export interface Difference {
  readonly prompt: number;
  /** Token at which they part, from 0. */
  readonly at: number;
  /** Lead of llama.cpp's token over its next best one, in logits: small where the choice hung in the balance. */
  readonly gap: number;
}

type Files = Pick<LlamaTask, 'model' | 'lora'>;

export interface Comparison {
  readonly export: string;
  readonly equal: number;
  readonly meanReplyTokens: number;
  readonly differences: readonly Difference[];
  /** Replies that differ, but equal ours when llama.cpp caches keys and values in f32 instead of f16. */
  readonly equalWithF32Cache: number;
}

/** Throws when the prompt has another number of tokens there. */
export function difference(ours: OurReply, theirs: Reply, prompt: number): Difference[] {
  if (ours.promptTokens !== theirs.promptTokens) {
    const counts = `${ours.promptTokens} tokens here, ${theirs.promptTokens} in llama.cpp`;
    throw new Error(`prompt ${prompt} is not the same on both sides: ${counts}`);
  }
  if (ours.text === theirs.text) return [];
  const at = theirs.steps.findLastIndex(({ textBefore }) => ours.text.startsWith(textBefore));
  return [{ prompt, at, gap: theirs.steps[at]?.gap ?? Number.NaN }];
}

export interface LlamaSideOptions {
  readonly asked: readonly LetterRow[];
  /** Folder with node-llama-cpp. */
  readonly client: string;
  /** Folder for tasks. */
  readonly room: string;
  readonly newTokens: number;
}

export class LlamaSide {
  readonly #options: LlamaSideOptions;

  constructor(options: LlamaSideOptions) {
    this.#options = options;
  }

  async #replies(task: LlamaTask): Promise<Reply[]> {
    const { client, room } = this.#options;
    const path = join(room, 'task.json');
    await writeFile(path, JSON.stringify(task));
    const args = ['tools/reference/llama/replies.ts', client, path];
    return repliesSchema.parse(await runForJson(process.execPath, args)).replies;
  }

  /** Where the replies to the numbered prompts differ from ours. */
  async #differences(
    files: Files,
    cacheType: LlamaTask['cacheType'],
    ours: readonly OurReply[],
    numbers: readonly number[],
  ): Promise<Difference[]> {
    const { asked, newTokens } = this.#options;
    const prompts = numbers.map((number) => templated(asked[number] as LetterRow));
    const theirs = await this.#replies({ ...files, prompts, newTokens, cacheType });
    return numbers.flatMap((number, at) => difference(ours[number] as OurReply, theirs[at] as Reply, number));
  }

  /** All prompts with the default cache, those that differ again with the exact one. */
  async compare(name: string, ours: readonly OurReply[], files: Files): Promise<Comparison> {
    say(`llama.cpp: ${name}`);
    const differences = await this.#differences(files, 'F16', ours, [...ours.keys()]);
    const again = differences.map(({ prompt }) => prompt);
    const left = again.length > 0 ? await this.#differences(files, 'F32', ours, again) : [];
    const equal = ours.length - differences.length;
    return {
      export: name,
      equal,
      meanReplyTokens: ours.reduce((sum, { newTokens }) => sum + newTokens, 0) / ours.length,
      differences,
      equalWithF32Cache: differences.length - left.length,
    };
  }
}
