import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { moduleUrl } from '../../../sdk/package-paths.ts';
import type { StepContext } from '../../../sdk/contracts/step-kind.ts';
import type { CurationOptions } from '../../options.ts';
import type { StepDatabase } from '../step-database.ts';
import type {
  HashJob,
  HashResult,
  HashSettings,
  KeyBlock,
  LinkJob,
  LinkResult,
  LinkSettings,
  Linked,
  SetIndex,
} from './jobs.ts';
import { bandPlan } from './minhash.ts';
import type { NearDedupeInput } from './options.ts';
import { ScratchFile } from './scratch-file.ts';
import { fillIntegers, hashJobs } from './texts.ts';
import { ThreadPool } from '../../../sdk/thread-pool.ts';

type HashPool = ThreadPool<HashJob, HashResult>;
type LinkPool = ThreadPool<LinkJob, LinkResult>;

/** Clusters of distinct texts, and the Jaccard of any two texts that are in a cluster. */
export interface FoundClusters extends Linked {
  score(pairs: Int32Array): Promise<Float64Array>;
}

/** What is needed besides the dataset. */
interface Place {
  readonly database: StepDatabase;
  readonly input: NearDedupeInput;
  readonly options: CurationOptions;
  readonly context: StepContext;
}

/**
 * Finds the clusters among `texts` distinct texts and hands them to `use` while the threads are still there.
 *
 * Memory beyond the table engine's: about 50 bytes a text, a quarter of `memoryLimitMiB` for shingle sets, and the texts
 * of a few jobs. Keys (8 bytes a band and text) and the sets of candidates (8 bytes a shingle) are in scratch files.
 */
export async function withClusters<T>(
  place: Place,
  texts: number,
  use: (found: FoundClusters) => Promise<T>,
): Promise<T> {
  const { input, options, context } = place;
  const plan = bandPlan(input.threshold, input.permutations);
  const settings: HashSettings = { shape: { ...input.shingle, seed: input.seed }, plan };
  const threads = options.threads ?? Math.min(4, availableParallelism());
  const hashing: HashPool = new ThreadPool(moduleOf('./hash-thread.ts'), settings, threads, context.signal);
  let linking: LinkPool | null = null;
  try {
    const keys = await writeKeys(place, hashing);
    const setsPath = join(context.scratchDir, 'shingles.bin');
    const cacheBytes = options.memoryLimitMiB * 2 ** 18;
    const link: LinkSettings = { texts, threshold: input.threshold, ...keys, setsPath, cacheBytes };
    linking = new ThreadPool(moduleOf('./link-thread.ts'), link, 1, context.signal);
    await markCandidates(place, linking, plan.bands);
    await linking.run({ op: 'sets', index: await writeSets(place, hashing, texts, setsPath) });
    return await use(await linkAll(place, linking, plan.bands));
  } finally {
    await hashing.close();
    await linking?.close();
  }
}

const moduleOf = (name: `${string}.ts`): URL => moduleUrl(name, import.meta.url);

async function writeKeys(
  { database, input, context }: Place,
  pool: HashPool,
): Promise<Pick<LinkSettings, 'keysPath' | 'blocks'>> {
  const file = await ScratchFile.create(join(context.scratchDir, 'keys.bin'));
  const blocks: KeyBlock[] = [];
  let done = 0;
  try {
    await pool.drain(hashJobs(database, input, 'sign', 'texts'), async ({ texts, data }) => {
      blocks.push({ texts, offsetBytes: await file.append(bytesOf(data)) });
      done += texts.length;
      database.phase = `hashing texts: ${done}`;
    });
  } finally {
    await file.close();
  }
  return { keysPath: file.path, blocks };
}

/** Makes `marked(t)`: the texts that share a bucket with another one. */
async function markCandidates({ database }: Place, pool: LinkPool, bands: number): Promise<void> {
  for (let band = 0; band < bands; band += 1) {
    database.phase = `looking for candidates: band ${band + 1} of ${bands}`;
    await pool.run({ op: 'mark', band });
  }
  const { marked = new Int32Array() } = await pool.run({ op: 'marked' });
  await database.run('CREATE TABLE marked (t INTEGER)');
  await fillIntegers(
    database,
    'marked',
    [...marked].map((text) => [text]),
  );
}

async function writeSets(
  { database, input }: Place,
  pool: HashPool,
  texts: number,
  path: string,
): Promise<SetIndex> {
  const file = await ScratchFile.create(path);
  const index = { offsetsBytes: new Float64Array(texts).fill(-1), sizes: new Int32Array(texts) };
  let done = 0;
  try {
    await pool.drain(hashJobs(database, input, 'shingle', 'marked'), async (result) => {
      let offset = await file.append(bytesOf(result.data));
      for (const [at, text] of result.texts.entries()) {
        const size = result.sizes[at] ?? 0;
        index.offsetsBytes[text] = offset;
        index.sizes[text] = size;
        offset += 8 * size;
      }
      done += result.texts.length;
      database.phase = `shingling candidates: ${done}`;
    });
  } finally {
    await file.close();
  }
  return index;
}

async function linkAll({ database }: Place, pool: LinkPool, bands: number): Promise<FoundClusters> {
  for (let band = 0; band < bands; band += 1) {
    database.phase = `comparing candidates: band ${band + 1} of ${bands}`;
    await pool.run({ op: 'link', band });
  }
  const { linked } = await pool.run({ op: 'linked' });
  if (linked === undefined) throw new Error('the linking thread gave no clusters');
  return {
    ...linked,
    score: async (pairs) => (await pool.run({ op: 'score', pairs })).scores ?? new Float64Array(),
  };
}

function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}
