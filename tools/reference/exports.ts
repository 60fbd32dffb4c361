/**
 * `npm run parity:exports [-- --json]`: exports of the quickstart's model with a freshly trained adapter, opened by
 * llama.cpp. Greedy replies of at most 64 tokens must equal our own on 18 of 20 prompts: of the base and of the merged
 * model as F16, and of the base with the adapter as GGUF. Exit code 1 on a miss.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { print, say, table } from '../../cli/lib/terminal.ts';
import { ensureEngine } from '../../runtime/bootstrap/engine.mjs';
import { DEFAULT_MODEL, ensureModel } from '../../runtime/bootstrap/model.mjs';
import { createProgress } from '../../runtime/bootstrap/progress.mjs';
import { ExportingEngine } from './exports-engine.ts';
import { LlamaSide, type Comparison, type Difference } from './exports-llama.ts';
import { letterRows } from './letters.ts';
import { llamaClient } from './llama/client.ts';
import { ROOT } from './programs.ts';

const PROMPTS = 20;
const MIN_EQUAL = 18;
const NEW_TOKENS = 64;
const TRAIN_ROWS = 96;
const SEED = 5;

async function compare(engine: ExportingEngine, client: string, room: string): Promise<Comparison[]> {
  const rows = letterRows(TRAIN_ROWS + PROMPTS, SEED);
  const asked = rows.slice(TRAIN_ROWS);
  say(`training an adapter on ${TRAIN_ROWS} rows`);
  const adapterPath = await engine.train(rows.slice(0, TRAIN_ROWS), say);
  const model = await engine.export('base.gguf', 'gguf-f16');
  const merged = await engine.export('merged.gguf', 'gguf-f16', adapterPath);
  const lora = await engine.export('lora.gguf', 'gguf-lora', adapterPath);
  const bare = await engine.replies(model, asked, NEW_TOKENS);
  const learnt = await engine.replies(model, asked, NEW_TOKENS, adapterPath);
  const changed = learnt.filter(({ text }, at) => text !== bare[at]?.text).length;
  if (changed < MIN_EQUAL)
    throw new Error(`the adapter changed ${changed} replies only: nothing is compared`);
  const llama = new LlamaSide({ asked, client, room, newTokens: NEW_TOKENS });
  return [
    await llama.compare('base, F16', bare, { model }),
    await llama.compare('merged, F16', await engine.replies(merged, asked, NEW_TOKENS), { model: merged }),
    await llama.compare('base F16 and adapter GGUF', learnt, { model, lora }),
  ];
}

const passed = ({ equal }: Comparison): boolean => equal >= MIN_EQUAL;

function report(lines: readonly Comparison[]): void {
  const where = ({ prompt, at, gap }: Difference) => `#${prompt} at ${at} (gap ${gap.toFixed(4)})`;
  const cells = (line: Comparison) => [
    passed(line) ? 'passed' : 'MISSED',
    line.export,
    `${line.equal} of ${PROMPTS}`,
    `>= ${MIN_EQUAL}`,
    line.meanReplyTokens.toFixed(1),
    line.differences.map(where).join(', '),
    line.differences.length > 0 ? `${line.equalWithF32Cache} of ${line.differences.length}` : '',
  ];
  const head = [
    '',
    'export',
    'equal replies',
    'goal',
    'tokens a reply',
    'differences',
    'equal with f32 cache',
  ];
  print(table([head, ...lines.map(cells)]));
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
  const room = await mkdtemp(join(tmpdir(), 'escada-parity-exports-'));
  const progress = createProgress();
  let engine: ExportingEngine | undefined;
  try {
    await ensureEngine({ root: ROOT, progress });
    const { path: model } = await ensureModel({ id: DEFAULT_MODEL, progress });
    progress.close();
    const client = await llamaClient(say);
    engine = await ExportingEngine.start(room, model);
    const lines = await compare(engine, client, room);
    if (values.json) print(JSON.stringify(lines.map((line) => ({ ...line, passed: passed(line) }))));
    else report(lines);
    if (!lines.every(passed)) process.exitCode = 1;
  } finally {
    progress.close();
    await engine?.close();
    await rm(room, { recursive: true, force: true });
  }
}

await main();
