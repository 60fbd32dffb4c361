/** From raw seconds to the table: medians over pairs, smallest and largest, and the two goals. */
import type { Arm, Output } from './arms.ts';
import { NEW_TOKENS, ROWS, ROW_TOKENS } from './task.ts';

/** Median over the pairs, and the extremes. */
export interface Spread {
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

/** Figures of one arm; without those that its program does not measure. */
export interface ArmSummary {
  readonly id: string;
  readonly side: Arm['side'];
  readonly precision: string;
  readonly forwardTokensPerSecond?: Spread;
  readonly trainTokensPerSecond?: Spread;
  /** Batch 8: new tokens over the whole call, and after every row had its first. */
  readonly newTokensPerSecond: Spread;
  readonly decodeTokensPerSecond?: Spread;
  /** As the first, by the peer's own clock: without the share of its client. */
  readonly ownTokensPerSecond?: Spread;
  /** The same at batch 1. */
  readonly newTokensPerSecondOfOne: Spread;
  readonly decodeTokensPerSecondOfOne?: Spread;
  readonly ownTokensPerSecondOfOne?: Spread;
  readonly loadSeconds: Spread;
  readonly trainPeakRssMib?: Spread;
  readonly generatePeakRssMib: Spread;
  readonly gemmGflops?: Spread;
  /** Loss before the first step: equal on both sides where weights and arithmetic are. */
  readonly firstLossNats?: number;
  readonly lastLossNats?: number;
}

/** Middle value; of an even count the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? Number.NaN;
  return (low + (sorted[Math.floor(middle)] ?? Number.NaN)) / 2;
}

function spread(values: readonly number[]): Spread {
  return { median: median(values), lowest: Math.min(...values), highest: Math.max(...values) };
}

/** The spread of a figure that every run has; undefined when one lacks it. */
function spreadOf(outputs: readonly Output[], figure: (o: Output) => number | undefined): Spread | undefined {
  const values = outputs.map(figure).filter((value) => value !== undefined);
  return values.length > 0 && values.length === outputs.length ? spread(values) : undefined;
}

type Generation = Output['generate'];

/** New tokens per second after every row had its first one: median of the calls. */
function decodeRate({ seconds, promptSeconds }: Generation, rows: number): number | undefined {
  if (promptSeconds === undefined) return undefined;
  const tokens = rows * (NEW_TOKENS - 1);
  return median(seconds.map((whole, call) => tokens / (whole - (promptSeconds[call] ?? Number.NaN))));
}

function ownRate({ ownSeconds }: Generation, rows: number): number | undefined {
  return ownSeconds && (rows * NEW_TOKENS) / median(ownSeconds);
}

/** Each pair counts with the median of its calls. */
export function summarize(arm: Arm, outputs: readonly Output[]): ArmSummary {
  const rate = (tokens: number, phase: 'forward' | 'train') =>
    spreadOf(outputs, (o) => o[phase] && tokens / median(o[phase].seconds));
  const newTokens = (phase: 'generate' | 'generateOne', rows: number) =>
    spread(outputs.map((o) => (rows * NEW_TOKENS) / median(o[phase].seconds)));
  const mib = (bytes: number) => bytes / 2 ** 20;
  const losses = outputs[0]?.lossesNats;
  return {
    id: arm.id,
    side: arm.side,
    precision: arm.precision,
    forwardTokensPerSecond: rate(ROWS * ROW_TOKENS, 'forward'),
    trainTokensPerSecond: rate(ROWS * ROW_TOKENS, 'train'),
    newTokensPerSecond: newTokens('generate', ROWS),
    decodeTokensPerSecond: spreadOf(outputs, (o) => decodeRate(o.generate, ROWS)),
    ownTokensPerSecond: spreadOf(outputs, (o) => ownRate(o.generate, ROWS)),
    newTokensPerSecondOfOne: newTokens('generateOne', 1),
    decodeTokensPerSecondOfOne: spreadOf(outputs, (o) => decodeRate(o.generateOne, 1)),
    ownTokensPerSecondOfOne: spreadOf(outputs, (o) => ownRate(o.generateOne, 1)),
    loadSeconds: spread(outputs.map((output) => median(output.load.seconds))),
    trainPeakRssMib: spreadOf(outputs, (o) => o.train && mib(o.train.peakRssBytes)),
    generatePeakRssMib: spread(outputs.map((o) => mib(o.generate.peakRssBytes))),
    gemmGflops: spreadOf(outputs, (o) => o.gemmGflops),
    firstLossNats: losses?.[0],
    lastLossNats: losses?.at(-1),
  };
}

/** Goal: what it says, what was measured, whether it was met. */
export interface Goal {
  readonly goal: string;
  readonly measured: number;
  readonly met: boolean;
}

/** Ours over theirs, where both were measured. */
function ratio(
  summaries: readonly ArmSummary[],
  [ours, theirs]: readonly [string, string],
  figure: (s: ArmSummary) => Spread | undefined,
): number | undefined {
  const [mine, peer] = [ours, theirs].map((id) => {
    const summary = summaries.find((s) => s.id === id);
    return summary && figure(summary)?.median;
  });
  return mine === undefined || peer === undefined ? undefined : mine / peer;
}

const TRAINING = 'training tokens/s';
const NF4 = ['escada-nf4', 'pytorch-nf4'] as const;
const FP32 = ['escada-f32', 'pytorch-fp32'] as const;
const NF4_16BIT = ['escada-nf4-16bit', 'pytorch-nf4'] as const;
const F32_16BIT = ['escada-f32-16bit', 'pytorch-bf16'] as const;
/** Linear layers in 4.1 and 4.5 bits a weight. */
const FOUR_BITS = ['escada-nf4', 'llama.cpp-q4_0'] as const;
const FOUR_BIT_GOAL = 'generation in 4 bits, new tokens/s, ours over llama.cpp';

/** The goals whose arms were measured. */
export function goals(summaries: readonly ArmSummary[]): Goal[] {
  const least = (bound: number) => (value: number) => value >= bound;
  const most = (bound: number) => (value: number) => value <= bound;
  const wanted = [
    [`fp32 ${TRAINING}, ours over PyTorch, at least 1.5`, FP32, (s) => s.trainTokensPerSecond, least(1.5)],
    ['fp32 training peak memory, ours over PyTorch, at most 0.5', FP32, (s) => s.trainPeakRssMib, most(0.5)],
    [`NF4 ${TRAINING}, ours over bitsandbytes, at least 2`, NF4, (s) => s.trainTokensPerSecond, least(2)],
    [
      `NF4 ${TRAINING} with products in 16 bits, ours over bitsandbytes, at least 2`,
      NF4_16BIT,
      (s) => s.trainTokensPerSecond,
      least(2),
    ],
    [
      `${TRAINING} with products in 16 bits, ours over PyTorch's bf16, at least 1.5`,
      F32_16BIT,
      (s) => s.trainTokensPerSecond,
      least(1.5),
    ],
    [
      'NF4 training peak memory, ours over bitsandbytes, at most 0.5',
      NF4,
      (s) => s.trainPeakRssMib,
      most(0.5),
    ],
    [`${FOUR_BIT_GOAL}, batch 1, at least 0.9`, FOUR_BITS, (s) => s.newTokensPerSecondOfOne, least(0.9)],
    [`${FOUR_BIT_GOAL}, batch ${ROWS}, at least 0.9`, FOUR_BITS, (s) => s.newTokensPerSecond, least(0.9)],
  ] as const satisfies readonly [
    string,
    readonly [string, string],
    (s: ArmSummary) => Spread | undefined,
    (value: number) => boolean,
  ][];
  return wanted.flatMap(([goal, pair, figure, met]) => {
    const measured = ratio(summaries, pair, figure);
    return measured === undefined ? [] : [{ goal, measured, met: met(measured) }];
  });
}

const LINES: readonly [string, (s: ArmSummary) => Spread | undefined, number][] = [
  ['forward, tokens/s', (s) => s.forwardTokensPerSecond, 0],
  ['training, tokens/s', (s) => s.trainTokensPerSecond, 0],
  [`generation, batch ${ROWS}, new tokens/s`, (s) => s.newTokensPerSecond, 0],
  ['  after the prompts', (s) => s.decodeTokensPerSecond, 0],
  ['  by its own clock', (s) => s.ownTokensPerSecond, 0],
  ['generation, batch 1, new tokens/s', (s) => s.newTokensPerSecondOfOne, 1],
  ['  after the prompt', (s) => s.decodeTokensPerSecondOfOne, 1],
  ['  by its own clock', (s) => s.ownTokensPerSecondOfOne, 1],
  ['load, s', (s) => s.loadSeconds, 1],
  ['peak RSS while training, MiB', (s) => s.trainPeakRssMib, 0],
  ['peak RSS while generating, MiB', (s) => s.generatePeakRssMib, 0],
  ['matrix product peak, GFLOP/s', (s) => s.gemmGflops, 0],
];

/** Rows of the printed table: one line per figure that an arm has, one column per arm. */
export function tableRows(summaries: readonly ArmSummary[]): string[][] {
  const cell = (spread: Spread | undefined, digits: number) => {
    if (spread === undefined) return '-';
    const { median, lowest, highest } = spread;
    return `${median.toFixed(digits)} (${lowest.toFixed(digits)}-${highest.toFixed(digits)})`;
  };
  const lines = LINES.filter(([, figure]) => summaries.some((s) => figure(s) !== undefined));
  return [
    ['median (lowest-highest)', ...summaries.map((s) => s.id)],
    ['weights and arithmetic', ...summaries.map((s) => s.precision)],
    ...lines.map(([name, figure, digits]) => [name, ...summaries.map((s) => cell(figure(s), digits))]),
  ];
}
