/** From raw seconds to the table: medians over pairs, smallest and largest, and the two goals. */
import type { Arm, Output } from './arms.ts';
import { NEW_TOKENS, ROWS, ROW_TOKENS } from './task.ts';

/** Median over the pairs, and the extremes. */
export interface Spread {
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

/** Figures of one arm. */
export interface ArmSummary {
  readonly id: string;
  readonly side: 'escada' | 'pytorch';
  readonly precision: string;
  readonly forwardTokensPerSecond: Spread;
  readonly trainTokensPerSecond: Spread;
  readonly newTokensPerSecond: Spread;
  readonly loadSeconds: Spread;
  readonly trainPeakRssMib: Spread;
  readonly generatePeakRssMib: Spread;
  readonly gemmGflops: Spread;
  /** Loss before the first step: equal on both sides where weights and arithmetic are. */
  readonly firstLossNats: number;
  readonly lastLossNats: number;
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

/** Each pair counts with the median of its calls. */
export function summarize(arm: Arm, outputs: readonly Output[]): ArmSummary {
  const rate = (tokens: number, phase: 'forward' | 'train' | 'generate') =>
    spread(outputs.map((output) => tokens / median(output[phase].seconds)));
  const mib = (phase: 'train' | 'generate') => spread(outputs.map((o) => o[phase].peakRssBytes / 2 ** 20));
  const losses = outputs[0]?.lossesNats ?? [];
  return {
    id: arm.id,
    side: arm.side,
    precision: arm.precision,
    forwardTokensPerSecond: rate(ROWS * ROW_TOKENS, 'forward'),
    trainTokensPerSecond: rate(ROWS * ROW_TOKENS, 'train'),
    newTokensPerSecond: rate(ROWS * NEW_TOKENS, 'generate'),
    loadSeconds: spread(outputs.map((output) => median(output.load.seconds))),
    trainPeakRssMib: mib('train'),
    generatePeakRssMib: mib('generate'),
    gemmGflops: spread(outputs.map((output) => output.gemmGflops)),
    firstLossNats: losses[0] ?? Number.NaN,
    lastLossNats: losses.at(-1) ?? Number.NaN,
  };
}

/** Goal: what it says, what was measured, whether it was met. */
export interface Goal {
  readonly goal: string;
  readonly measured: number;
  readonly met: boolean;
}

/** The two goals, for the arms that both sides have. */
export function goals(summaries: readonly ArmSummary[]): Goal[] {
  const [ours, theirs] = ['escada-f32', 'pytorch-fp32'].map((id) => summaries.find((s) => s.id === id));
  if (ours === undefined || theirs === undefined) return [];
  const speed = ours.trainTokensPerSecond.median / theirs.trainTokensPerSecond.median;
  const memory = ours.trainPeakRssMib.median / theirs.trainPeakRssMib.median;
  return [
    { goal: 'fp32 training tokens/s, ours over PyTorch, at least 1', measured: speed, met: speed >= 1 },
    {
      goal: 'fp32 training peak memory, ours over PyTorch, at most 0.5',
      measured: memory,
      met: memory <= 0.5,
    },
  ];
}

const LINES: readonly [string, (s: ArmSummary) => Spread, number][] = [
  ['forward, tokens/s', (s) => s.forwardTokensPerSecond, 0],
  ['training, tokens/s', (s) => s.trainTokensPerSecond, 0],
  ['generation, new tokens/s', (s) => s.newTokensPerSecond, 0],
  ['load, s', (s) => s.loadSeconds, 1],
  ['peak RSS while training, MiB', (s) => s.trainPeakRssMib, 0],
  ['peak RSS while generating, MiB', (s) => s.generatePeakRssMib, 0],
  ['matrix product peak, GFLOP/s', (s) => s.gemmGflops, 0],
];

/** Rows of the printed table: one line per figure, one column per arm. */
export function tableRows(summaries: readonly ArmSummary[]): string[][] {
  const cell = ({ median, lowest, highest }: Spread, digits: number) =>
    `${median.toFixed(digits)} (${lowest.toFixed(digits)}-${highest.toFixed(digits)})`;
  return [
    ['median (lowest-highest)', ...summaries.map((s) => s.id)],
    ...LINES.map(([name, figure, digits]) => [name, ...summaries.map((s) => cell(figure(s), digits))]),
  ];
}
