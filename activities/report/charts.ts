import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import type { Estimate } from '../../schemas/adapt/candidate.ts';
import type { LossPoint } from './report-data.ts';

const WIDTH_PX = 520;
/** Points of a curve that a page of this width can show. */
const MAX_POINTS = 2000;

/** Renders a vega-lite description to SVG text, without a browser. */
async function toSvg(spec: TopLevelSpec): Promise<string> {
  const view = new View(parse(compile(spec).spec), { renderer: 'none' });
  const svg = await view.toSVG();
  view.finalize();
  return svg;
}

/** Colours follow the page's, so that both light and dark schemes read well. */
const CONFIG: TopLevelSpec['config'] = {
  background: 'transparent',
  font: 'system-ui, sans-serif',
  axis: {
    labelColor: '#888',
    titleColor: '#888',
    gridColor: '#8884',
    domainColor: '#8888',
    tickColor: '#8888',
  },
  view: { stroke: 'transparent' },
};

export interface LadderPoint extends Estimate {
  readonly rung: string;
  readonly split: 'dev' | 'test';
}

/** Scores with intervals, rung by rung, and the target as a line. */
export async function ladderChart(
  points: readonly LadderPoint[],
  target: number,
  metric: string,
): Promise<string> {
  const order = [...new Set(points.map(({ rung }) => rung))];
  const y = { field: 'rung', type: 'nominal', sort: order, title: null } as const;
  const yOffset = { field: 'split', type: 'nominal' } as const;
  const color = {
    field: 'split',
    type: 'nominal',
    scale: { range: ['#4c8bf5', '#e8710a'] },
    title: null,
  } as const;
  return await toSvg({
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    width: WIDTH_PX,
    height: { step: 22 },
    config: CONFIG,
    data: { values: points.map((point) => ({ ...point })) },
    layer: [
      {
        mark: { type: 'rule', strokeDash: [4, 4], color: '#2a9d5c', strokeWidth: 2 },
        encoding: { x: { datum: target, type: 'quantitative' } },
      },
      {
        mark: { type: 'rule', strokeWidth: 3 },
        encoding: {
          x: { field: 'low', type: 'quantitative', title: metric, scale: { domain: [0, 1] } },
          x2: { field: 'high' },
          y,
          yOffset,
          color,
        },
      },
      {
        mark: { type: 'point', filled: true, size: 90, opacity: 1 },
        encoding: { x: { field: 'value', type: 'quantitative' }, y, yOffset, color },
      },
    ],
  });
}

/** Loss in nats per labelled token over steps. */
export async function lossChart(losses: readonly LossPoint[]): Promise<string> {
  const stride = Math.max(1, Math.ceil(losses.length / MAX_POINTS));
  return await toSvg({
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    width: WIDTH_PX,
    height: 200,
    config: CONFIG,
    data: { values: losses.filter((_, index) => index % stride === 0).map((point) => ({ ...point })) },
    mark: { type: 'line', color: '#4c8bf5', strokeWidth: 2, point: losses.length <= 100 },
    encoding: {
      x: { field: 'step', type: 'quantitative', title: 'step' },
      y: { field: 'lossNats', type: 'quantitative', title: 'loss (nats per token)', scale: { zero: false } },
    },
  });
}

export interface FunnelPoint {
  readonly step: string;
  readonly rows: number;
}

/** Rows left after each curation step. */
export async function funnelChart(points: readonly FunnelPoint[]): Promise<string> {
  const y = { field: 'step', type: 'nominal', sort: points.map(({ step }) => step), title: null } as const;
  return await toSvg({
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    width: WIDTH_PX,
    height: { step: 26 },
    config: CONFIG,
    data: { values: points.map((point) => ({ ...point })) },
    layer: [
      {
        mark: { type: 'bar', color: '#4c8bf5', cornerRadiusEnd: 3 },
        encoding: { x: { field: 'rows', type: 'quantitative', title: 'rows' }, y },
      },
      {
        mark: { type: 'text', align: 'left', dx: 4, color: '#888' },
        encoding: {
          x: { field: 'rows', type: 'quantitative' },
          y,
          text: { field: 'rows', type: 'quantitative' },
        },
      },
    ],
  });
}
