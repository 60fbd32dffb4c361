/** What a page looks like, measured in the browser itself. */
import type { Page } from 'playwright-core';

/** A text whose colour is too close to its background. */
export interface FaintText {
  readonly text: string;
  readonly ratio: number;
  readonly needed: number;
}

/** Contrast of ordinary text (WCAG 2, level AA), and of what is dimmed on purpose: paths not taken. */
const [TEXT_RATIO, DIMMED_RATIO] = [4.5, 3];

/** Runs in the page, where the types of this project do not reach. */
const FAINT_TEXTS = `(() => {
  const parse = (text) => {
    const [r, g, b, a = 1] = (text.match(/[\\d.]+/g) ?? []).map(Number);
    return { r, g, b, a };
  };
  const over = (top, below, alpha) => {
    const mix = (one, two) => one * alpha + two * (1 - alpha);
    return { r: mix(top.r, below.r), g: mix(top.g, below.g), b: mix(top.b, below.b), a: 1 };
  };
  const light = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.a === 1) return colour;
    }
    return parse('rgb(255, 255, 255)');
  };
  const opacityOf = (element) => {
    let opacity = 1;
    for (let at = element; at !== null; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
    return opacity;
  };
  const look = (element) => {
    const style = getComputedStyle(element);
    const drawn = element instanceof SVGElement;
    const page = behind(element);
    const opacity = opacityOf(element);
    const box = drawn ? element.parentElement.querySelector('.fc-box') : null;
    const ground = box === null ? page : over(parse(getComputedStyle(box).fill), page, opacity);
    const colour = parse(drawn ? style.fill : style.color);
    const [a, b] = [light(over(colour, page, colour.a * opacity)), light(ground)];
    const needed = element.closest('.fc-open') === null ? ${TEXT_RATIO} : ${DIMMED_RATIO};
    return { text: element.textContent.trim().slice(0, 60), ratio: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), needed };
  };
  const own = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '');
  // Vega keeps labels that found no room, fully transparent.
  const shown = (element) => element.getClientRects().length > 0 && opacityOf(element) > 0;
  const looked = [...document.body.querySelectorAll('*')].filter((one) => own(one) && shown(one) && !one.closest('title,desc')).map(look);
  return { looked: looked.length, faint: looked.filter(({ ratio, needed }) => !(ratio >= needed)) };
})()`;

/** Texts that cannot be read well enough, out of all that are shown. */
export async function faintTexts(
  page: Page,
): Promise<{ readonly looked: number; readonly faint: readonly FaintText[] }> {
  return await page.evaluate(FAINT_TEXTS);
}

/** Width of the content and of the window, in pixels: the page scrolls sideways when the first is larger. */
export async function widths(page: Page): Promise<{ readonly content: number; readonly window: number }> {
  return await page.evaluate('({ content: document.documentElement.scrollWidth, window: innerWidth })');
}

/** Everything that a page asked for while `work` opened it, and what it said on its console. */
export async function requestsDuring(page: Page, work: () => Promise<void>): Promise<string[]> {
  const seen: string[] = [];
  page.on('request', (request) => seen.push(request.url()));
  page.on('console', (message) => seen.push(`console: ${message.text()}`));
  await work();
  return seen;
}
