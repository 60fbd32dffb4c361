/**
 * How well and how fast `curate.near-dedupe@1` finds planted near duplicates. Prints one JSON object.
 *
 *   node bench/curation/near-dedupe.ts [--rows 20000] [--truth 2000] [--rounds 3]
 *
 * `quality`: agreement with a comparison of every pair of `--truth` rows, and whether clusters stay the same for shuffled
 * rows and other numbers of threads. `speed`: `--rows` rows, the numbers of threads taken in turn in every round.
 */
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { Harness, csvOf } from '../../test/plugins/curation/harness.ts';
import { clusterTexts, nearDedupe } from '../../test/plugins/curation/near-dedupe-run.ts';
import { agreement, plantedRows, shuffled, truePairs } from '../../test/plugins/curation/planted.ts';

const SHAPES = [
  { unit: 'character', size: 5 },
  { unit: 'word', size: 2 },
] as const;
const THREADS = [1, 2, 4];

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '20000' },
    truth: { type: 'string', default: '2000' },
    rounds: { type: 'string', default: '3' },
  },
});

async function withHarness<T>(threads: number, work: (harness: Harness) => Promise<T>): Promise<T> {
  const harness = await Harness.open({ threads });
  try {
    return await work(harness);
  } finally {
    await harness.close();
  }
}

async function quality(shape: (typeof SHAPES)[number], seed: number) {
  const rows = plantedRows(Number(values.truth), seed);
  const pairs = truePairs(rows, shape, 0.8);
  const clusters = new Set<string>();
  let measured = {};
  for (const threads of THREADS) {
    const mixed = threads === 1 ? rows : shuffled(rows, threads);
    const run = await withHarness(threads, (harness) => nearDedupe(harness, mixed, { shingle: shape }));
    clusters.add(clusterTexts(mixed, run.found).join('\n\n'));
    const { candidates, verified, dropped, largestCluster } = run.output;
    if (threads === 1) {
      measured = { ...agreement(run.found, pairs), candidates, verified, dropped, largestCluster };
    }
  }
  return { ...shape, seed, rows: rows.length, ...measured, equalClusters: clusters.size === 1 };
}

async function secondsOf(csv: string, threads: number, shape: (typeof SHAPES)[number]): Promise<number> {
  return await withHarness(threads, async (harness) => {
    const { dataset } = await harness.read(await harness.file('rows.csv', csv));
    const started = performance.now();
    await harness.run('curate.near-dedupe@1', { dataset: dataset ?? null, shingle: shape });
    return (performance.now() - started) / 1000;
  });
}

async function speed() {
  const rows = plantedRows(Number(values.rows), 1);
  const csv = csvOf(rows.map(({ input, output }) => [input, output]));
  const arms = SHAPES.flatMap((shape) =>
    THREADS.map((threads) => ({ shape, threads, seconds: [] as number[] })),
  );
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const arm of arms) arm.seconds.push(await secondsOf(csv, arm.threads, arm.shape));
  }
  const meanChars = Math.round(csv.length / rows.length);
  return arms.map(({ shape, threads, seconds }) => {
    const least = Math.min(...seconds);
    return {
      ...shape,
      threads,
      rows: rows.length,
      meanChars,
      seconds,
      rowsPerSecond: Math.round(rows.length / least),
    };
  });
}

const report = {
  machine: { cores: availableParallelism(), cpu: cpus()[0]?.model ?? 'unknown', node: process.version },
  quality: [await quality(SHAPES[0], 21), await quality(SHAPES[0], 22), await quality(SHAPES[1], 21)],
  speed: await speed(),
  peakRssMiB: Math.round(process.resourceUsage().maxRSS / 1024),
};
console.log(JSON.stringify(report, null, 2));
