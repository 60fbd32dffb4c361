import type { Training } from '../report-data.ts';
import { endsOf, finiteOf } from '../trainings.ts';
import { show } from '../text.ts';
import { COLOUR, SERIES, toSvg, type AltText } from './vega.ts';

/** Points of a curve that a page of this width can show. */
const MAX_POINTS = 600;
/** From here on single steps are noise, and a running mean is drawn over them. */
const SMOOTHED_FROM_STEPS = 20;

interface Point {
  readonly rung: string;
  readonly step: number;
  readonly lossNats: number;
  readonly meanNats: number;
}

/** Every step with the mean of the steps around it; thinned to what the page can show. */
function pointsOf({ rung, losses: all }: Training): Point[] {
  const losses = finiteOf(all);
  const reach = losses.length < SMOOTHED_FROM_STEPS ? 0 : Math.max(2, Math.round(losses.length / 20));
  const stride = Math.max(1, Math.ceil(losses.length / MAX_POINTS));
  return losses
    .map(({ step, lossNats }, at) => {
      const near = losses.slice(Math.max(0, at - reach), at + reach + 1);
      const meanNats = near.reduce((sum, one) => sum + one.lossNats, 0) / near.length;
      return { rung, step, lossNats, meanNats };
    })
    .filter((_, at) => at % stride === 0 || at === losses.length - 1);
}

function altTextOf(trainings: readonly Training[]): AltText {
  const texts = trainings.map(({ rung, losses }) => {
    const { first, last } = endsOf(losses);
    return `${rung}: from ${show(first)} to ${show(last)} nats per token in ${losses.length} steps`;
  });
  return { title: 'Loss during training', description: `${texts.join('; ')}.` };
}

/** Loss in nats per labelled token over steps: every step faint, the running mean on top. */
export async function lossChart(trainings: readonly Training[], widthPx: number): Promise<string> {
  const rungs = trainings.map(({ rung }) => rung);
  const values = trainings.flatMap(pointsOf);
  const range = rungs.map((_, at) => SERIES[at % SERIES.length] ?? COLOUR.dev);
  const color = {
    field: 'rung',
    type: 'nominal',
    scale: { domain: rungs, range },
    title: null,
    ...(rungs.length < 2 ? { legend: null } : {}),
  };
  const x = { field: 'step', type: 'quantitative', title: 'step', axis: { tickMinStep: 1 } };
  const y = {
    field: 'lossNats',
    type: 'quantitative',
    title: 'loss (nats per token)',
    scale: { zero: false },
  };
  const few = values.length <= SMOOTHED_FROM_STEPS;
  const spec = {
    height: 200,
    data: { values },
    layer: [
      { mark: { type: 'line', strokeWidth: 1, opacity: 0.4 }, encoding: { x, y, color } },
      {
        mark: { type: 'line', strokeWidth: 2.5, point: few },
        encoding: { x, y: { ...y, field: 'meanNats' }, color },
      },
    ],
  };
  return await toSvg(spec, widthPx, altTextOf(trainings));
}
