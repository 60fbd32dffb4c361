import { basename, extname } from 'node:path';
import { createReadStream } from 'node:fs';
import { EscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import type { AdaptationSpecInput, DataSource } from '../../schemas/spec/adaptation-spec.ts';

/** Share of raw rows that usually survives curation. */
const KEPT_SHARE = 0.85;
const FULL = { train: 240, dev: 32, test: 48 } as const;
const SMALLEST = { train: 16, dev: 8, test: 8 } as const;
const DEFAULT_TARGET = 0.6;
const DEFAULT_BUDGET_SECONDS = 3600;

/** Lines of a file: an upper bound of its rows, since cells may hold line breaks. */
async function countLines(path: string): Promise<number> {
  let lines = 0;
  for await (const piece of createReadStream(path))
    for (const byte of piece as Buffer) if (byte === 10) lines += 1;
  return lines;
}

/** Split sizes for about so many raw rows: the usual ones when there is enough, in proportion otherwise. */
export function sizesFor(rawRows: number): { train: number; dev: number; test: number } {
  const usable = Math.floor(rawRows * KEPT_SHARE);
  const wanted = FULL.train + FULL.dev + FULL.test;
  if (usable >= wanted) return { ...FULL };
  const part = (size: keyof typeof FULL) =>
    Math.max(SMALLEST[size], Math.floor((usable * FULL[size]) / wanted));
  return { train: part('train'), dev: part('dev'), test: part('test') };
}

export interface OwnData {
  readonly path: string;
  readonly source: DataSource;
  readonly input: string | undefined;
  readonly output: string | undefined;
  readonly instruction: string | undefined;
}

/** A spec for a user's own file. Throws `INVALID_SPEC` when a column is not named. */
export async function ownDataSpec(data: OwnData): Promise<AdaptationSpecInput> {
  const missing = (['input', 'output'] as const).filter((name) => data[name] === undefined);
  if (data.input === undefined || data.output === undefined) {
    const flags = missing.map((name) => `--${name} COLUMN`).join(' and ');
    throw new EscadaFailure({
      code: 'INVALID_SPEC',
      message: `Name the columns of ${data.path}: add ${flags}.`,
    });
  }
  const name = basename(data.path, extname(data.path))
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
  const isText = !('format' in data.source) || data.source.format !== 'parquet';
  return {
    name: name === '' ? 'own-data' : name.slice(0, 60),
    task: {
      instruction: data.instruction ?? 'Write the answer for this input.',
      system: 'You answer exactly as asked.',
      maxPromptTokens: 192,
      maxAnswerTokens: 64,
    },
    data: {
      source: data.source,
      columns: { input: data.input, output: data.output },
      sizes: isText ? sizesFor(await countLines(data.path)) : FULL,
    },
    target: DEFAULT_TARGET,
    budget: { seconds: DEFAULT_BUDGET_SECONDS },
  };
}
