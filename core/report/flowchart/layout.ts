/**
 * Layout of a flowchart. Every question and rung has a layer of its own, one below the other, which a phone can show;
 * ends are beside the node that leads to them; edges that skip layers run in lanes on the left.
 */
import type { ChartNode, ChartView, Edge } from './view.ts';

export interface Box {
  readonly node: ChartNode;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly title: readonly string[];
  readonly note: readonly string[];
}

export interface Line {
  readonly edge: Edge;
  readonly points: readonly (readonly [number, number])[];
  /** Place of the label, and which side of it is there. */
  readonly label: readonly [number, number];
  readonly anchor: 'start' | 'middle' | 'end';
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly boxes: readonly Box[];
  readonly lines: readonly Line[];
}

/** Font sizes, line heights and distances in pixels. */
export const TEXT = { title: 13, note: 11, titleLine: 17, noteLine: 14 } as const;
const PAD = { x: 14, y: 9 } as const;
const GAP_Y = 30;
const LANE = { first: 26, each: 10 } as const;
/** Mean width of a letter, as a share of the font size. */
const LETTER = 0.56;
/** Boxes wider than this are harder to read, not easier. */
const MAX_BOX_PX = 360;

/** Words of a text in lines of at most so many pixels; a longer word is cut. */
export function wrap(text: string, widthPx: number, fontPx: number): string[] {
  const most = Math.max(6, Math.floor(widthPx / (fontPx * LETTER)));
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).flatMap((one) => one.match(new RegExp(`.{1,${most}}`, 'gu')) ?? [])) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (longer.length <= most) line = longer;
    else {
      lines.push(line);
      line = word;
    }
  }
  return line === '' ? lines : [...lines, line];
}

function boxOf(node: ChartNode, x: number, y: number, width: number): Box {
  const head = node.visit === null ? node.title : `${node.visit}. ${node.title}`;
  const title = wrap(head, width - 2 * PAD.x, TEXT.title);
  const note = wrap(node.note, width - 2 * PAD.x, TEXT.note);
  const height = 2 * PAD.y + title.length * TEXT.titleLine + note.length * TEXT.noteLine;
  return { node, x, y, width, height, title, note };
}

/** A lane for every edge that skips layers: the first one that is free over its whole length. */
function assignLanes(skips: readonly Edge[], layer: ReadonlyMap<string, number>): Map<Edge, number> {
  const lanes: (readonly [number, number])[][] = [];
  const assigned = new Map<Edge, number>();
  for (const edge of skips) {
    const [from, to] = [layer.get(edge.from) ?? 0, layer.get(edge.to) ?? 0];
    const free = lanes.findIndex((taken) => taken.every(([a, b]) => to <= a || from >= b));
    const lane = free < 0 ? lanes.push([]) - 1 : free;
    lanes[lane]?.push([from, to]);
    assigned.set(edge, lane);
  }
  return assigned;
}

interface Columns {
  readonly left: number;
  readonly box: number;
  readonly gap: number;
  readonly end: number;
}

function columnsOf(lanes: number, widthPx: number): Columns {
  const left = lanes === 0 ? 2 : LANE.first + lanes * LANE.each;
  const gap = widthPx < 500 ? 32 : 56;
  const end = Math.min(220, Math.round((widthPx - left - gap) * 0.34));
  return { left, gap, end, box: Math.min(MAX_BOX_PX, widthPx - left - gap - end - 2) };
}

/** Places nodes and edges of a flowchart in a picture of this width. */
export function layOut(view: ChartView, widthPx: number): Layout {
  const isEnd = new Set(view.nodes.filter(({ form }) => form === 'end').map(({ name }) => name));
  const byName = new Map(view.nodes.map((node) => [node.name, node]));
  // A chart that is nothing but an end still has one layer.
  const spine = view.nodes.length === 1 ? view.nodes : view.nodes.filter(({ form }) => form !== 'end');
  const layer = new Map(spine.map(({ name }, at) => [name, at]));
  const between = view.edges.filter(({ to }) => !isEnd.has(to));
  const skips = between.filter(({ from, to }) => (layer.get(to) ?? 0) - (layer.get(from) ?? 0) > 1);
  const lanes = assignLanes(skips, layer);
  const columns = columnsOf(new Set(lanes.values()).size, widthPx);
  const boxes = new Map<string, Box>();
  const [ends, lines]: [Box[], Line[]] = [[], []];
  let y = 2;
  for (const node of spine) {
    const box = boxOf(node, columns.left, y, columns.box);
    boxes.set(node.name, box);
    let bottom = box.y + box.height;
    let endY = y;
    for (const edge of view.edges.filter(({ from, to }) => from === node.name && isEnd.has(to))) {
      const target = byName.get(edge.to);
      if (target === undefined) continue;
      // An end is drawn beside every node that leads to it, and only the one that was reached counts as visited.
      const own = edge.taken ? target : { ...target, visit: null };
      const end = boxOf(own, columns.left + columns.box + columns.gap, endY, columns.end);
      ends.push(end);
      lines.push(sideLine(edge, box, end));
      endY += end.height + 8;
      bottom = Math.max(bottom, end.y + end.height);
    }
    y = bottom + GAP_Y;
  }
  for (const edge of between) lines.push(downLine(edge, boxes, lanes.get(edge)));
  return { width: widthPx, height: y - GAP_Y + 4, boxes: [...boxes.values(), ...ends], lines };
}

/** From a node to an end beside it. */
function sideLine(edge: Edge, from: Box, to: Box): Line {
  const y = Math.min(to.y + to.height / 2, from.y + from.height - 6);
  const [x1, x2] = [from.x + from.width, to.x];
  return { edge, points: [[x1, y], [x2, y]], label: [(x1 + x2) / 2 - 3, y - 4], anchor: 'middle' }; // prettier-ignore
}

/** To the next layer straight down; further down through a lane. */
function downLine(edge: Edge, boxes: ReadonlyMap<string, Box>, lane: number | undefined): Line {
  const [from, to] = [boxes.get(edge.from), boxes.get(edge.to)];
  if (from === undefined || to === undefined) throw new Error(`no place for ${edge.from} or ${edge.to}`);
  if (lane === undefined) {
    const x = from.x + Math.min(60, from.width / 2);
    const [y1, y2] = [from.y + from.height, to.y];
    return { edge, points: [[x, y1], [x, y2]], label: [x + 6, y1 + 16], anchor: 'start' }; // prettier-ignore
  }
  const x = from.x - LANE.first - lane * LANE.each;
  const [y1, y2] = [from.y + from.height / 2 + 7, to.y + to.height / 2 - 7];
  const points = [[from.x, y1], [x, y1], [x, y2], [to.x, y2]] as const; // prettier-ignore
  return { edge, points, label: [from.x - 4, y1 - 4], anchor: 'end' };
}
