import type { CostPoint } from '../costs.ts';
import { interval, show } from '../text.ts';
import { COLOUR, scoreDomain, toSvg, type AltText } from './vega.ts';

/** What answers cost, one way to measure it. */
export interface CostAxis {
  readonly name: string;
  readonly of: (point: CostPoint) => number;
  readonly best: (point: CostPoint) => boolean;
}

export const SECONDS: CostAxis = {
  name: 'seconds per answer',
  of: (point) => point.secondsPerAnswer,
  best: (point) => point.bestForSeconds,
};

export const TOKENS: CostAxis = {
  name: 'prompt tokens per answer',
  of: (point) => point.promptTokensPerAnswer,
  best: (point) => point.bestForTokens,
};

function altTextOf(points: readonly CostPoint[], axis: CostAxis, metric: string): AltText {
  const texts = points.map(
    (one) =>
      `${one.rung}: ${metric} ${show(one.value)} (${interval(one)}) at ${axis.of(one).toFixed(2)}${axis.best(one) ? ', on the front' : ''}`,
  );
  return { title: `Test score against ${axis.name}`, description: `${texts.join('; ')}.` };
}

type Point = CostPoint & {
  readonly cost: number;
  readonly front: boolean;
  readonly label: string;
  /** Neighbours in score have their labels on different sides of their points. */
  readonly above: boolean;
};

function pointsOf(points: readonly CostPoint[], axis: CostAxis): Point[] {
  const best = [...points].sort((a, b) => b.value - a.value);
  return points.map((point) => ({
    ...point,
    cost: axis.of(point),
    front: axis.best(point),
    label: point.winner ? `${point.rung} ★` : point.rung,
    above: best.indexOf(point) % 2 === 0,
  }));
}

/** Corners of the front: up at its cheapest point, then a step at each one, then on to the right edge. */
function frontOf(points: readonly Point[], bottom: number, right: number) {
  const front = points.filter(({ front: on }) => on).sort((a, b) => a.cost - b.cost);
  const [first, last] = [front[0], front.at(-1)];
  if (first === undefined || last === undefined) return [];
  const corners = [
    { cost: first.cost, value: bottom },
    ...front.map(({ cost, value }) => ({ cost, value })),
    { cost: right, value: last.value },
  ];
  return corners.map((corner, at) => ({ ...corner, at }));
}

/**
 * Test score with its interval against cost. Filled points and the stepped line are the Pareto front: what is below it
 * and to its right is beaten in both.
 */
export async function costChart(
  points: readonly CostPoint[],
  axis: CostAxis,
  metric: string,
  widthPx: number,
): Promise<string> {
  const values = pointsOf(points, axis);
  const domain = scoreDomain(points.flatMap(({ low, high }) => [low, high]));
  // Room on the right for the label of the dearest point.
  const right = Math.max(...values.map(({ cost }) => cost)) * 1.4 || 1;
  const xScale = { domain: [0, right], nice: false };
  const yScale = { domain, zero: false, nice: false };
  const quantity = { type: 'quantitative', axis: { tickCount: 5 } };
  const x = { ...quantity, field: 'cost', title: axis.name, scale: xScale };
  const y = { ...quantity, field: 'value', title: `${metric} on test`, scale: yScale };
  const label = (above: boolean) => ({
    transform: [{ filter: `datum.above === ${above}` }],
    mark: { type: 'text', align: 'left', dx: 9, dy: above ? -9 : 12, color: COLOUR.text, fontSize: 12 },
    encoding: { x, y, text: { field: 'label', type: 'nominal' } },
  });
  const fill = { condition: { test: 'datum.front', value: COLOUR.test }, value: 'var(--bg)' };
  const line = { interpolate: 'step-after', color: COLOUR.target, strokeWidth: 2, strokeDash: [5, 4] };
  const spec = {
    height: 220,
    data: { values },
    layer: [
      {
        data: { values: frontOf(values, domain[0], right) },
        mark: { type: 'line', ...line },
        encoding: { x, y, order: { field: 'at', type: 'quantitative' } },
      },
      {
        mark: { type: 'rule', color: COLOUR.test, strokeWidth: 2 },
        encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' } },
      },
      {
        mark: { type: 'point', size: 110, opacity: 1, stroke: COLOUR.test, strokeWidth: 2 },
        encoding: { x, y, fill },
      },
      label(true),
      label(false),
    ],
  };
  return await toSvg(spec, widthPx, altTextOf(points, axis, metric));
}
