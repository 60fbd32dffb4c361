import type { FunnelStep } from '../funnel.ts';
import { COLOUR, toSvg, type AltText } from './vega.ts';

/** "−3 +12" of a step; empty when it changed nothing. */
export function changeOf({ dropped, added }: Pick<FunnelStep, 'dropped' | 'added'>): string {
  return [dropped > 0 ? `−${dropped}` : '', added > 0 ? `+${added}` : '']
    .filter((one) => one !== '')
    .join(' ');
}

function altTextOf(steps: readonly FunnelStep[]): AltText {
  const texts = steps.map(
    ({ node, rows, dropped, added }) => `${node}: ${rows} rows left, ${dropped} dropped, ${added} added`,
  );
  return { title: 'Rows after each curation step', description: `${texts.join('; ')}.` };
}

/** Rows after each curation step; what the step dropped or added is at the end of its bar. */
export async function funnelChart(steps: readonly FunnelStep[], widthPx: number): Promise<string> {
  const parts = ['kept', 'added', 'dropped'];
  const values = steps.flatMap((step) => [
    { step: step.node, part: 'kept', rows: step.rows - step.added },
    { step: step.node, part: 'added', rows: step.added },
    { step: step.node, part: 'dropped', rows: step.dropped },
  ]);
  const labels = steps.map((step) => ({
    step: step.node,
    end: step.rows + step.dropped,
    label: [String(step.rows), changeOf(step)].filter((one) => one !== '').join('  '),
  }));
  const most = Math.max(1, ...labels.map(({ end }) => end));
  const y = { field: 'step', type: 'nominal', sort: steps.map(({ node }) => node), title: null };
  // Room on the right for the label of the longest bar.
  const scale = { domain: [0, most * (widthPx < 500 ? 1.5 : 1.2)], nice: false };
  const color = {
    field: 'part',
    type: 'nominal',
    scale: { domain: parts, range: [COLOUR.dev, COLOUR.added, COLOUR.dropped] },
    title: null,
  };
  const spec = {
    height: { step: 28 },
    layer: [
      {
        data: { values: values.map((one) => ({ ...one, rank: parts.indexOf(one.part) })) },
        mark: { type: 'bar' },
        encoding: {
          x: {
            field: 'rows',
            type: 'quantitative',
            title: 'rows',
            stack: 'zero',
            scale,
            axis: { tickCount: 5 },
          },
          y,
          color,
          order: { field: 'rank', type: 'quantitative' },
        },
      },
      {
        data: { values: labels },
        mark: { type: 'text', align: 'left', dx: 6, color: COLOUR.text, fontSize: 12 },
        encoding: { x: { field: 'end', type: 'quantitative' }, y, text: { field: 'label', type: 'nominal' } },
      },
    ],
  };
  return await toSvg(spec, widthPx, altTextOf(steps));
}
