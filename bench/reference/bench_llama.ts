/**
 * One measured process of `npm run bench:engine`: llama.cpp loads and generates from the same prompts as the other arms.
 * `node bench_llama.ts FOLDER TASK.json MODEL.gguf`; FOLDER has node-llama-cpp in its node_modules. Prints one JSON object.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { z } from 'zod';
import { GreedyRows, openLlama, type LlamaModel } from '../../tools/reference/llama/greedy.ts';

const taskSchema = z.object({
  threads: z.int().positive(),
  rows: z.array(z.array(z.int())),
  promptTokens: z.int().positive(),
  newTokens: z.int().positive(),
  calls: z.int().positive(),
});
type Task = z.infer<typeof taskSchema>;

/** Calls before the timed ones. */
const WARM_UP = 1;

const secondsSince = (startMs: number) => (performance.now() - startMs) / 1000;

/** Highest resident memory since the start or the last reset; 0 where the system has no `/proc`. */
async function peakRssBytes(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  return Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024;
}

async function resetPeak(): Promise<void> {
  // Where this is not allowed the peaks only grow from phase to phase.
  await writeFile('/proc/self/clear_refs', '5').catch(() => undefined);
}

/** The seconds of all passes by llama.cpp's own clock, read off its log: without Node's share of a call. */
class OwnClock {
  #milliseconds: number[] = [];

  readonly onLog = (text: string): void => {
    for (const [, ms] of text.matchAll(/\beval time =\s*([\d.]+) ms/g)) this.#milliseconds.push(Number(ms));
  };

  /** Since the last call: sum over passes of prompts and of single tokens, which are logged apart. */
  async seconds(rows: GreedyRows): Promise<number> {
    this.#milliseconds = [];
    await rows.logTimings();
    for (let wait = 0; this.#milliseconds.length < 2; wait += 1) {
      if (wait === 200) throw new Error('llama.cpp logged no times');
      await setTimeout(10);
    }
    return this.#milliseconds.reduce((sum, ms) => sum + ms, 0) / 1000;
  }
}

/** The first `count` rows; caches are allocated before the clock starts. */
async function generation(model: LlamaModel, task: Task, count: number, clock: OwnClock) {
  const { threads, newTokens, promptTokens } = task;
  await resetPeak();
  const size = { rows: count, rowTokens: promptTokens + newTokens };
  const rows = await GreedyRows.open(model, { threads, ...size, timings: true });
  const prompts = task.rows.slice(0, count).map((row) => row.slice(0, promptTokens));
  const [seconds, promptSeconds, ownSeconds]: [number[], number[], number[]] = [[], [], []];
  for (let call = 0; call < WARM_UP + task.calls; call += 1) {
    const startMs = performance.now();
    let first: number | undefined;
    await rows.decode(prompts, newTokens, { onStep: () => (first ??= secondsSince(startMs)) });
    const whole = secondsSince(startMs);
    const own = await clock.seconds(rows);
    if (call < WARM_UP) continue;
    seconds.push(whole);
    promptSeconds.push(first ?? 0);
    ownSeconds.push(own);
  }
  await rows.close();
  return { seconds, promptSeconds, ownSeconds, peakRssBytes: await peakRssBytes() };
}

async function main([folder = '', taskPath = '', modelPath = '']: string[]): Promise<void> {
  const task = taskSchema.parse(JSON.parse(await readFile(taskPath, 'utf8')));
  const clock = new OwnClock();
  const llama = await openLlama(folder, task.threads, clock.onLog);
  const startMs = performance.now();
  const model = await llama.loadModel({ modelPath });
  const load = { seconds: [secondsSince(startMs)], peakRssBytes: await peakRssBytes() };
  const generate = await generation(model, task, task.rows.length, clock);
  const generateOne = await generation(model, task, 1, clock);
  const { release } = llama.llamaCppRelease;
  const isaClass = llama.systemInfo.trim();
  print({ load, generate, generateOne, isaClass, versions: { 'llama.cpp': release } });
  await llama.dispose();
}

function print(result: object): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

await main(process.argv.slice(2));
