import type { ReportData } from '../report-data.ts';
import { interval, show } from '../text.ts';
import { COLOUR, scoreDomain, toSvg, type AltText } from './vega.ts';

interface Point {
  readonly rung: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly split: 'dev' | 'test';
}

function pointsOf(data: ReportData): Point[] {
  const of = (split: Point['split'], all: readonly Omit<Point, 'split'>[]) =>
    all.map(({ rung, value, low, high }) => ({ rung, value, low, high, split }));
  const measured = data.rungs.filter((one) => one.outcome === 'measured');
  return [...of('dev', measured), ...of('test', data.test.candidates)];
}

function altTextOf(points: readonly Point[], target: number, metric: string): AltText {
  const texts = points.map((one) => `${one.rung} on ${one.split} ${show(one.value)} (${interval(one)})`);
  return {
    title: `Scores of every rung (${metric}), with intervals`,
    description: `Target ${show(target)}. ${texts.join('; ')}.`,
  };
}

/** Scores with intervals, rung by rung, and the target as a line. */
export async function ladderChart(data: ReportData, widthPx: number): Promise<string> {
  const points = pointsOf(data);
  const { target, metrics } = data.plan.spec;
  const metric = metrics.primary.id;
  const domain = scoreDomain([target, ...points.flatMap(({ low, high }) => [low, high])]);
  const y = { field: 'rung', type: 'nominal', sort: null, title: null } as const;
  const yOffset = { field: 'split', type: 'nominal' } as const;
  const scale = { domain: ['dev', 'test'], range: [COLOUR.dev, COLOUR.test] };
  const color = { field: 'split', type: 'nominal', scale, title: null } as const;
  const x = { type: 'quantitative', title: metric, scale: { domain, zero: false, nice: false } } as const;
  const size = { step: 22 };
  const spec = {
    height: size,
    data: { values: points },
    layer: [
      {
        mark: { type: 'rule', strokeDash: [5, 4], color: COLOUR.target, strokeWidth: 2 },
        encoding: { x: { datum: target, ...x } },
      },
      {
        mark: { type: 'rule', strokeWidth: 3 },
        encoding: { x: { field: 'low', ...x }, x2: { field: 'high' }, y, yOffset, color },
      },
      {
        mark: { type: 'point', filled: true, size: 100, opacity: 1 },
        encoding: {
          x: { field: 'value', ...x },
          y,
          yOffset,
          color,
          shape: {
            field: 'split',
            scale: { domain: ['dev', 'test'], range: ['circle', 'diamond'] },
            title: null,
          },
        },
      },
    ],
  };
  return await toSvg(spec, widthPx, altTextOf(points, target, metric));
}
