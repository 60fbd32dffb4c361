// Feeds damaged files to the readers of the TypeScript side; prints one line of JSON per reader.
//   node tools/fuzz/typescript-half.ts --seconds 30 --seed 1 [--only <reader>] [--from <number>]
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ERROR_CODES } from '../../schemas/errors/error-codes.ts';
import { isEscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import { faults, newCounts } from './counts.ts';
import type { ReaderCounts } from './counts.ts';
import { watchMemory } from './memory.ts';
import { Rng, mutate, seedOf } from './mutate.ts';
import { READERS } from './readers.ts';
import type { Reader } from './readers.ts';

/** The bound on memory: what the table engine, WebAssembly and the garbage of earlier inputs take, and room for a file. */
const CONSTANT_BYTES = 512 * 1024 * 1024;
const FACTOR = 64;
/** Only a hang takes so long, however busy the machine is. */
const SLOWEST_MS = 20_000;
/** Inputs that every reader gets, however slow the machine is. */
const MIN_INPUTS = 8;
/** A failure travels through histories and logs. */
const MAX_MESSAGE_CHARS = 64 * 1024;
const SHOWN = 5;
/** Codes that mean a bug here, not a bad file. */
const NOT_FOR_FILES = new Set(['INTERNAL', 'ENGINE_INTERNAL']);

/** Null: the file was refused as it should be. */
function fault(error: unknown): string | null {
  if (!isEscadaFailure(error)) return `uncoded: ${error instanceof Error ? error.stack : String(error)}`;
  if (!Object.hasOwn(ERROR_CODES, error.code) || NOT_FOR_FILES.has(error.code)) return `code ${error.code}`;
  const chars = error.message.length + JSON.stringify(error.fields).length;
  return chars > MAX_MESSAGE_CHARS ? `an error of ${chars} characters (${error.code})` : null;
}

interface Input {
  readonly reader: Reader;
  readonly bytes: Buffer;
  readonly folder: string;
  readonly number: number;
}

async function attempt({ reader, bytes, folder, number }: Input, counts: ReaderCounts): Promise<void> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, 'file');
  await writeFile(file, bytes);
  const memory = watchMemory();
  const startMs = performance.now();
  const found: string[] = [];
  try {
    await reader.read(file, folder);
    counts.accepted += 1;
  } catch (error) {
    const why = fault(error);
    if (why !== null) {
      counts.uncoded += 1;
      found.push(why);
    } else if (isEscadaFailure(error)) counts.rejected[error.code] = (counts.rejected[error.code] ?? 0) + 1;
  }
  const [tookMs, most] = [Math.round(performance.now() - startMs), memory()];
  counts.tried += 1;
  counts.slowestMs = Math.max(counts.slowestMs, tookMs);
  counts.mostBytes = Math.max(counts.mostBytes, most);
  if (most > CONSTANT_BYTES + FACTOR * bytes.length) {
    counts.overAllocations += 1;
    found.push(`${most} bytes of memory for a file of ${bytes.length}`);
  }
  if (tookMs > SLOWEST_MS) {
    counts.tooSlow += 1;
    found.push(`took ${tookMs} ms`);
  }
  for (const why of found.slice(0, Math.max(0, SHOWN - counts.failures.length))) {
    counts.failures.push(`input ${number} (${bytes.length} bytes): ${why}`);
  }
  await rm(folder, { recursive: true, force: true });
}

async function fuzz(reader: Reader, seed: number, from: number, seconds: number): Promise<ReaderCounts> {
  const counts = newCounts(reader.name);
  const room = await mkdtemp(join(tmpdir(), 'escada-fuzz-'));
  try {
    const seeds = await reader.seeds(room);
    const whole = newCounts(reader.name);
    for (const bytes of seeds)
      await attempt({ reader, bytes, folder: join(room, 'whole'), number: -1 }, whole);
    // Everything whole must be accepted: a broken seed would make every count worthless.
    if (whole.accepted !== seeds.length) throw new Error(`${reader.name}: ${JSON.stringify(whole)}`);
    const endMs = performance.now() + seconds * 1000;
    for (let number = from; performance.now() < endMs || number < from + MIN_INPUTS; number += 1) {
      const rng = new Rng(seedOf(`${seed}/${reader.name}/${number}`));
      const bytes = mutate(rng, rng.pick(seeds), rng.pick(seeds), reader.textual);
      await attempt({ reader, bytes, folder: join(room, String(number)), number }, counts);
    }
    return counts;
  } finally {
    await rm(room, { recursive: true, force: true });
  }
}

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    only: { type: 'string' },
  },
});
const chosen = READERS.filter(({ name }) => values.only === undefined || name === values.only);
let bad = chosen.length === 0 ? 1 : 0;
for (const reader of chosen) {
  const share = Number(values.seconds) / chosen.length;
  const counts = await fuzz(reader, Number(values.seed), Number(values.from), share);
  process.stdout.write(`${JSON.stringify(counts)}\n`);
  bad += faults(counts);
}
process.exitCode = bad === 0 ? 0 : 1;
