import { escapeHtml } from '../html/markup.ts';
import { describeSvg } from '../charts/vega.ts';
import type { ReportData } from '../report-data.ts';
import { shown } from '../text.ts';
import { layOut, TEXT, type Box, type Line } from './layout.ts';
import { viewFlowchart, type ChartView } from './view.ts';

const round = (value: number): number => Math.round(value * 10) / 10;
const ARROW_PX = 7;

/** Questions have pointed sides, rungs corners, ends round ones: colour is not the only difference. */
function outline({ node, x, y, width, height }: Box): string {
  if (node.form === 'ask') {
    const [cut, right, bottom, middle] = [9, x + width, y + height, y + height / 2];
    const corners = [
      [x + cut, y],
      [right - cut, y],
      [right, middle],
      [right - cut, bottom],
      [x + cut, bottom],
      [x, middle],
    ];
    return `<polygon class="fc-box" points="${corners.map(([a, b]) => `${round(a ?? 0)},${round(b ?? 0)}`).join(' ')}"/>`;
  }
  const radius = node.form === 'end' ? Math.min(18, height / 2) : 4;
  return `<rect class="fc-box" x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" rx="${round(radius)}"/>`;
}

function lines(words: readonly string[], kind: 'title' | 'note', x: number, top: number): string {
  const [size, step] = [TEXT[kind], TEXT[`${kind}Line`]];
  return words
    .map((line, at) => {
      const y = round(top + at * step + size);
      return `<text class="fc-${kind}" x="${round(x)}" y="${y}" font-size="${size}">${escapeHtml(line)}</text>`;
    })
    .join('');
}

function drawBox(box: Box): string {
  const { node, x, y, title, note } = box;
  const notesAt = y + 10 + title.length * TEXT.titleLine;
  const text = lines(title, 'title', x + 14, y + 9) + lines(note, 'note', x + 14, notesAt);
  return `<g class="fc-${node.form} ${node.visit === null ? 'fc-open' : 'fc-taken'}">${outline(box)}${text}</g>`;
}

/** The head of an arrow that points right or down, its tip at the end of the line. */
function arrow([x1, y1]: readonly [number, number], [x2, y2]: readonly [number, number]): string {
  const half = ARROW_PX / 2;
  const corners =
    Math.abs(x2 - x1) > Math.abs(y2 - y1)
      ? [`${x2},${y2}`, `${x2 - ARROW_PX},${y2 - half}`, `${x2 - ARROW_PX},${y2 + half}`]
      : [`${x2},${y2}`, `${x2 - half},${y2 - ARROW_PX}`, `${x2 + half},${y2 - ARROW_PX}`];
  return `<polygon class="fc-arrow" points="${corners.join(' ')}"/>`;
}

function drawLine({ edge, points, label, anchor }: Line): string {
  const rounded = points.map(([x, y]) => [round(x), round(y)] as const);
  const [before, last] = [rounded.at(-2), rounded.at(-1)];
  const head = before === undefined || last === undefined ? '' : arrow(before, last);
  const path = `<polyline class="fc-line" points="${rounded.map((point) => point.join(',')).join(' ')}"/>`;
  const text =
    edge.label === ''
      ? ''
      : `<text class="fc-note" x="${round(label[0])}" y="${round(label[1])}" font-size="${TEXT.note}" text-anchor="${anchor}">${edge.label}</text>`;
  return `<g class="${edge.taken ? 'fc-taken' : 'fc-open'}">${path}${head}${text}</g>`;
}

function descriptionOf({ nodes }: ChartView): string {
  const visited = nodes.filter(({ visit }) => visit !== null).sort((a, b) => (a.visit ?? 0) - (b.visit ?? 0));
  const steps = visited.map(({ title, note }) => (note === '' ? title : `${title} (${note})`));
  return `The path taken: ${steps.join(' → ')}. ${nodes.length - visited.length} nodes were not visited.`;
}

type Drawn = Pick<ReportData, 'path' | 'rungs'> & { readonly plan: Pick<ReportData['plan'], 'flowchart'> };

/** The flowchart as SVG: the path taken in full, what was not taken dimmed and dashed. */
export function drawFlowchart({ plan, path, rungs }: Drawn, widthPx: number): string {
  const chart = plan.flowchart;
  const view = viewFlowchart(chart, path, rungs);
  const readable = { ...view, nodes: view.nodes.map((node) => ({ ...node, title: shown(node.title) })) };
  const layout = layOut(readable, widthPx);
  // What was taken comes last, on top of what was not.
  const drawn = [...layout.lines].sort((a, b) => Number(a.edge.taken) - Number(b.edge.taken)).map(drawLine);
  const [width, height] = [layout.width, round(layout.height)];
  const body = [...drawn, ...layout.boxes.map(drawBox)].join('\n');
  const svg = `<svg class="flowchart" xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">${body}</svg>`;
  return describeSvg(svg, { title: `Flowchart ${chart.name}`, description: descriptionOf(view) });
}
