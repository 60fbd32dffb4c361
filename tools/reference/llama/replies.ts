/**
 * Greedy replies of llama.cpp: `node replies.ts FOLDER TASK.json`. FOLDER has node-llama-cpp in its node_modules; the
 * task is { model, lora?, cacheType, prompts, newTokens }. Control strings in prompts are control tokens. Prints one
 * JSON object: { replies }, in the order of the prompts.
 */
import { readFile } from 'node:fs/promises';
import { GreedyRows, openLlama, type LlamaModel, type Step } from './greedy.ts';
import { taskSchema, type Reply, type Replies } from './messages.ts';

/**
 * llama.cpp's threads wait for each other by spinning, a thousand times a token: on cores that others use too, two of
 * them took ten times the processor time of one, and ten times as long.
 */
const THREADS = 1;

function replyOf(model: LlamaModel, promptTokens: number, steps: readonly Step[]): Reply {
  const end = steps.findIndex(({ token }) => model.isEogToken(token));
  const tokens = steps.slice(0, end < 0 ? undefined : end).map(({ token }) => token);
  return {
    promptTokens,
    text: model.detokenize(tokens),
    steps: steps
      .slice(0, end < 0 ? undefined : end + 1)
      .map(({ gap }, at) => ({ textBefore: model.detokenize(tokens.slice(0, at)), gap })),
  };
}

async function main([folder = '', taskPath = '']: string[]): Promise<void> {
  const task = taskSchema.parse(JSON.parse(await readFile(taskPath, 'utf8')));
  const llama = await openLlama(folder, THREADS);
  const model = await llama.loadModel({ modelPath: task.model });
  const prompts = task.prompts.map((prompt) => model.tokenize(prompt, true));
  const rowTokens = Math.max(...prompts.map(({ length }) => length)) + task.newTokens;
  const { lora, cacheType } = task;
  // Flash attention would round keys and values to 16 bits again.
  const flashAttention = cacheType === 'F16';
  const settings = { threads: THREADS, rows: prompts.length, rowTokens, lora, cacheType, flashAttention };
  const rows = await GreedyRows.open(model, settings);
  const decoded = await rows.decode(prompts, task.newTokens, { gaps: true });
  const replies = decoded.map((steps, at) => replyOf(model, prompts[at]?.length ?? 0, steps));
  process.stdout.write(`${JSON.stringify({ replies } satisfies Replies)}\n`);
  await llama.dispose();
}

await main(process.argv.slice(2));
