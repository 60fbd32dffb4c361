/**
 * `npm run accept:main [-- --seeds 1,2,3] [--json] [--home DIR]`: the quickstart's ladder for several seeds. Each seed
 * makes its own data, its own split and its own training. Passes when, on the test rows of every seed, PEFT beats both
 * the best ICL recipe and zero-shot: paired interval above zero. Exit code 1 otherwise.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { withStore } from '../../client/with-store.ts';
import { follow } from '../../cli/lib/follow.ts';
import { importDataFile, readSpecFile } from '../../cli/lib/load-spec.ts';
import { print, say, StatusLine, table } from '../../cli/lib/terminal.ts';
import { renderOutcome } from '../../cli/lib/summary.ts';
import type { AdaptationSpecInput } from '../../schemas/spec/adaptation-spec.ts';
import { openBenchPlace, type BenchPlace } from './bench-place.ts';
import { compareFinalists, type SeedResult } from './compare-finalists.ts';
import { ROOT, setUpForAcceptance } from './set-up.ts';

const EXAMPLE = join(ROOT, 'examples/product-descriptions');

interface Options {
  readonly seeds: readonly number[];
  readonly json: boolean;
  readonly home: string | undefined;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1,2,3' },
      json: { type: 'boolean', default: false },
      home: { type: 'string' },
    },
  });
  const seeds = values.seeds.split(',').map(Number);
  if (seeds.some((seed) => !Number.isInteger(seed) || seed < 0))
    throw new Error(`--seeds: "${values.seeds}"`);
  return { seeds, json: values.json, home: values.home };
}

/** The example's spec with data and seed of its own. */
async function specFor(seed: number, home: string, place: BenchPlace): Promise<AdaptationSpecInput> {
  const path = join(home, `products-${seed}.csv`);
  const args = [join(EXAMPLE, 'generate.ts'), '--seed', String(seed), '--out', path];
  await promisify(execFile)(process.execPath, args);
  const spec = await readSpecFile(join(EXAMPLE, 'spec.json'));
  const { settings } = place;
  const source = await withStore({ settings }, async (store) => await importDataFile(path, store));
  return { ...spec, seed, data: { ...spec.data, source } };
}

async function runSeed(seed: number, home: string, place: BenchPlace): Promise<SeedResult> {
  const spec = await specFor(seed, home, place);
  say(`\nseed ${seed}`);
  const handle = await place.client.startAdaptation(spec);
  const outcome = await follow(place.client, handle.workflowId, new StatusLine());
  print(`\nSeed ${seed}\n${renderOutcome(outcome)}`);
  const { settings } = place;
  return await withStore({ settings }, async (store) => await compareFinalists(seed, outcome, spec, store));
}

const interval = (one: { readonly low: number; readonly high: number }) =>
  `${one.low.toFixed(3)} to ${one.high.toFixed(3)}`;

function renderTable(results: readonly SeedResult[]): string {
  const cells = results.map(({ seed, scores, paired, passed, decision, seconds }) => [
    String(seed),
    ...(['zero-shot', 'icl', 'peft'] as const).map((rung) => {
      const score = scores[rung];
      return score === undefined ? 'not run' : `${score.value.toFixed(3)} (${interval(score)})`;
    }),
    ...(['icl', 'zero-shot'] as const).map((rung) => {
      const one = paired[rung];
      return one === undefined ? '–' : `${one.delta.toFixed(3)} (${interval(one)})`;
    }),
    decision,
    `${seconds.toFixed(0)} s`,
    passed ? 'PASS' : 'FAIL',
  ]);
  const head = [
    'seed',
    'zero-shot',
    'best ICL',
    'PEFT',
    'PEFT − ICL',
    'PEFT − zero-shot',
    'decision',
    'run',
    '',
  ];
  return table([head, ...cells]);
}

async function main(): Promise<number> {
  const { seeds, json, home: given } = readOptions();
  const env = await setUpForAcceptance();
  const home = given ?? (await mkdtemp(join(tmpdir(), 'escada-accept-')));
  await mkdir(home, { recursive: true });
  const place = await openBenchPlace(home, env);
  const results: SeedResult[] = [];
  try {
    for (const seed of seeds) results.push(await runSeed(seed, home, place));
  } finally {
    await place.close();
    if (given === undefined) await rm(home, { recursive: true, force: true, maxRetries: 5 });
  }
  const passed = results.every((result) => result.passed);
  print(
    `\nTest scores (${results[0]?.metric ?? ''}) with intervals; differences on the same rows\n${renderTable(results)}`,
  );
  for (const { seed, passed: ok } of results) print(`seed ${seed}: ${ok ? 'PASS' : 'FAIL'}`);
  if (json) print(JSON.stringify({ passed, seeds: results }));
  return passed ? 0 : 1;
}

process.exitCode = await main();
