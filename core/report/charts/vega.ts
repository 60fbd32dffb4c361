import { createHash } from 'node:crypto';
import { Error as ERRORS, logger, parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import { escapeHtml } from '../html/markup.ts';
import { shown } from '../text.ts';

/** Widths of the whole picture in pixels: a page on a desk, and a phone. */
export const WIDE_PX = 720;
export const NARROW_PX = 340;

/** The page's own colours (`html/style.ts`), so that pictures follow the light and the dark scheme. */
export const COLOUR = {
  dev: 'var(--dev)',
  test: 'var(--test)',
  target: 'var(--target)',
  dropped: 'var(--dropped)',
  added: 'var(--added)',
  text: 'var(--fg)',
  soft: 'var(--muted)',
  line: 'var(--line)',
} as const;

/** Distinguishable colours of lines, in order. */
export const SERIES = [COLOUR.dev, COLOUR.test, COLOUR.target, COLOUR.soft] as const;

/** Alternative text of a picture, for people who cannot see it. */
export interface AltText {
  readonly title: string;
  readonly description: string;
}

const axis = {
  labelColor: COLOUR.soft,
  titleColor: COLOUR.soft,
  gridColor: COLOUR.line,
  domainColor: COLOUR.line,
  tickColor: COLOUR.line,
  labelFontSize: 12,
  labelLimit: 120,
  titleLimit: 260,
  titleFontSize: 12,
  titleFontWeight: 'normal',
} as const;

const CONFIG: TopLevelSpec['config'] = {
  background: 'transparent',
  font: 'system-ui, sans-serif',
  axis,
  legend: { labelColor: COLOUR.soft, titleColor: COLOUR.soft, labelFontSize: 12, orient: 'top' },
  view: { stroke: 'transparent' },
  // The picture has one title and one description for all; marks of their own would only repeat the tables.
  aria: false,
};

/** Puts a title and a description into an SVG's head, for screen readers. */
export function describeSvg(svg: string, altText: AltText): string {
  // From the content, so that equal runs write equal reports.
  const id = `p${createHash('sha256').update(svg).digest('hex').slice(0, 10)}`;
  const { title, description } = altText;
  const head = `<svg role="img" aria-labelledby="${id}-t ${id}-d"`;
  const body = `<title id="${id}-t">${escapeHtml(title)}</title><desc id="${id}-d">${escapeHtml(description)}</desc>`;
  // Names and titles in a picture are user text, too.
  return shown(
    svg.replace('<svg', () => head).replace('>', () => `>${body}`),
    Infinity,
  );
}

/** Remarks on how sizes are fitted help nobody who runs a worker. */
const QUIET = logger(ERRORS);

/** Renders a vega-lite description to SVG text, without a browser. */
export async function toSvg(spec: object, widthPx: number, altText: AltText): Promise<string> {
  const whole = {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    autosize: { type: 'fit-x', contains: 'padding' },
    width: widthPx,
    padding: 2,
    config: CONFIG,
    ...spec,
  } as TopLevelSpec;
  const view = new View(parse(compile(whole, { logger: QUIET }).spec), { renderer: 'none' });
  const svg = await view.toSVG();
  view.finalize();
  return describeSvg(svg, altText);
}

/** The part of 0 to 1 that holds these scores, with some air. */
export function scoreDomain(values: readonly number[]): [number, number] {
  const low = Math.floor((Math.min(...values) - 0.02) * 20) / 20;
  const high = Math.ceil((Math.max(...values) + 0.02) * 20) / 20;
  return [Math.max(0, low), Math.min(1, high)];
}
