import type { DataProfile, Lengths } from '../../../schemas/outcome/data-profile.ts';
import { splitsOf } from '../profile.ts';
import { COLOUR, toSvg } from './vega.ts';

const SPLITS = ['train', 'dev', 'test'];

/** Shares of the classes, one bar for each split; without classes, lengths. */
export async function profileChart(profile: DataProfile, widthPx: number): Promise<string> {
  return profile.train.classes === null
    ? await lengthChart(profile, widthPx)
    : await classChart(profile, widthPx);
}

async function classChart(profile: DataProfile, widthPx: number): Promise<string> {
  const values = splitsOf(profile).flatMap(([split, { classes }]) =>
    (classes ?? []).map(({ label, share }) => ({ split, label, share })),
  );
  const labels = (profile.train.classes ?? []).map(({ label }) => label);
  const spec = {
    height: { step: 12 },
    data: { values },
    mark: { type: 'bar' },
    encoding: {
      y: { field: 'label', type: 'nominal', sort: labels, title: null },
      yOffset: { field: 'split', type: 'nominal', sort: SPLITS },
      x: {
        field: 'share',
        type: 'quantitative',
        title: 'share of rows',
        axis: { format: '%', tickCount: 5 },
      },
      color: {
        field: 'split',
        type: 'nominal',
        scale: { domain: SPLITS, range: [COLOUR.dev, COLOUR.added, COLOUR.target] },
        title: null,
      },
    },
  };
  const described = values.map(
    ({ split, label, share }) => `${label} in ${split}: ${(share * 100).toFixed(1)} %`,
  );
  return await toSvg(spec, widthPx, { title: 'Classes by split', description: `${described.join('; ')}.` });
}

/** The middle 80 % of the lengths as a bar, the median as a tick. */
async function lengthChart(profile: DataProfile, widthPx: number): Promise<string> {
  const values = splitsOf(profile).flatMap(([split, { input, output }]) => [
    row(`${split}, input`, input),
    row(`${split}, output`, output),
  ]);
  const y = { field: 'name', type: 'nominal', sort: values.map(({ name }) => name), title: null };
  const spec = {
    height: { step: 22 },
    data: { values },
    layer: [
      {
        mark: { type: 'bar', height: 10, color: COLOUR.dev },
        encoding: {
          y,
          x: { field: 'p10', type: 'quantitative', title: 'characters, 10th to 90th percentile' },
          x2: { field: 'p90' },
        },
      },
      {
        mark: { type: 'tick', thickness: 3, size: 18, color: COLOUR.text },
        encoding: { y, x: { field: 'p50', type: 'quantitative' } },
      },
    ],
  };
  const described = values.map(({ name, p10, p50, p90 }) => `${name}: median ${p50}, ${p10} to ${p90}`);
  return await toSvg(spec, widthPx, {
    title: 'Lengths in characters by split',
    description: `${described.join('; ')}.`,
  });
}

const row = (name: string, { p10, p50, p90 }: Lengths) => ({ name, p10, p50, p90 });
