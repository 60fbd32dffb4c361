/** The drawn flowchart: everything in its place at any width, and the path taken is marked. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NARROW_PX, WIDE_PX } from '../../../core/report/charts/vega.ts';
import { drawFlowchart } from '../../../core/report/flowchart/draw.ts';
import { layOut, wrap, type Box } from '../../../core/report/flowchart/layout.ts';
import { viewFlowchart } from '../../../core/report/flowchart/view.ts';
import type { PathStep } from '../../../schemas/outcome/decision.ts';
import type { Flowchart, FlowchartNode } from '../../../schemas/spec/flowchart.ts';
import { STANDARD_FLOWCHART } from '../../fixtures/standard-flowchart.ts';

const ask = (yes: string, no: string): FlowchartNode => ({
  form: 'ask',
  title: 'Do the answers need facts that change while the system is in use, or citations?',
  all: [{ fact: 'profile.changingData', op: '==', value: true }],
  yes,
  no,
});
const attempt = (rung: string, next: string): FlowchartNode => ({
  form: 'try',
  title: `Try ${rung}`,
  rung,
  next,
});

/** Two branches that meet again, edges that skip several layers, and a node nothing leads to. */
const BRANCHED: Flowchart = {
  name: 'branched',
  start: 'facts',
  nodes: {
    facts: ask('rag', 'icl'),
    rag: attempt('rag', 'enough'),
    icl: attempt('icl', 'still'),
    still: ask('done', 'enough'),
    enough: ask('done', 'peft'),
    peft: attempt('peft', 'last'),
    last: ask('done', 'spent'),
    done: { form: 'end', title: 'Done', verdict: 'target-met' },
    spent: { form: 'end', title: 'Spent', verdict: 'target-not-met' },
    alone: attempt('full', 'done'),
  },
};

const PATH: PathStep[] = [
  {
    node: 'facts',
    title: '',
    answer: 'no',
    comparisons: [
      { fact: 'profile.changingData', op: '==', value: true, left: false, right: true, holds: false },
    ],
  },
  { node: 'icl', title: '', answer: 'tried', comparisons: [] },
  {
    node: 'still',
    title: '',
    answer: 'yes',
    comparisons: [
      { fact: 'best.low', op: '>=', value: { fact: 'target' }, left: 0.71234, right: 0.7, holds: true },
    ],
  },
  { node: 'done', title: '', answer: 'end', comparisons: [] },
];

const overlap = (a: Box, b: Box): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

for (const chart of [STANDARD_FLOWCHART, BRANCHED]) {
  for (const width of [NARROW_PX, WIDE_PX]) {
    test(`${chart.name} at ${width} px: nothing overlaps, nothing leaves the picture, arrows lead on`, () => {
      const { boxes, lines, height } = layOut(viewFlowchart(chart, [], []), width);
      for (const [at, box] of boxes.entries()) {
        assert.ok(box.x >= 0 && box.x + box.width <= width && box.y + box.height <= height, box.node.name);
        for (const other of boxes.slice(at + 1))
          assert.ok(!overlap(box, other), `${box.node.name} ${other.node.name}`);
      }
      for (const { points, edge } of lines) {
        for (const [x, y] of points) assert.ok(x >= 0 && x <= width && y >= 0 && y <= height, edge.from);
        const [first, last] = [points[0], points.at(-1)];
        assert.ok(first !== undefined && last !== undefined && last[1] >= first[1] && points.length > 1);
      }
    });
  }
}

test('lanes that run side by side are different ones', () => {
  const { lines } = layOut(viewFlowchart(BRANCHED, [], []), WIDE_PX);
  const lanes = lines
    .filter(({ points }) => points.length === 4)
    .map(({ points, edge }) => {
      const [, top, bottom] = points;
      return { edge: `${edge.from}-${edge.to}`, x: top?.[0] ?? 0, from: top?.[1] ?? 0, to: bottom?.[1] ?? 0 };
    });
  assert.ok(lanes.length >= 2, JSON.stringify(lanes));
  for (const [at, a] of lanes.entries())
    for (const b of lanes.slice(at + 1))
      assert.ok(a.x !== b.x || a.to <= b.from || b.to <= a.from, `${a.edge} ${b.edge}`);
});

test('knows what was visited and what was found there', () => {
  const { nodes, edges } = viewFlowchart(BRANCHED, PATH, []);
  const visited = nodes.filter(({ visit }) => visit !== null);
  assert.deepEqual(
    visited.map(({ name, visit, note }) => [name, visit, note]),
    [
      ['facts', 1, 'profile.changingData is false: no'],
      ['icl', 2, ''],
      ['still', 3, 'best.low 0.712 ≥ target 0.700: yes'],
      ['done', 4, ''],
    ],
  );
  assert.deepEqual(
    edges.filter(({ taken }) => taken).map(({ from, to }) => `${from} ${to}`),
    ['facts icl', 'icl still', 'still done'],
  );
  assert.ok(!nodes.some(({ name }) => name === 'alone'), 'a node nothing leads to');
  const svg = drawFlowchart({ plan: { flowchart: BRANCHED }, path: PATH, rungs: [] }, WIDE_PX);
  assert.equal(svg.match(/<g class="fc-(?:ask|try|end) fc-taken">/g)?.length, 4);
  assert.match(svg, /5 nodes were not visited/);
});

test('a chart that is only an end is drawn', () => {
  const chart: Flowchart = {
    name: 'c',
    start: 'end',
    nodes: { end: { form: 'end', title: 'Nothing to do', verdict: 'target-not-met' } },
  };
  assert.match(
    drawFlowchart({ plan: { flowchart: chart }, path: [], rungs: [] }, NARROW_PX),
    /Nothing to do/,
  );
});

test('words wrap, endless ones are cut', () => {
  assert.deepEqual(wrap('one two three', 60, 12), ['one two', 'three']);
  assert.deepEqual(wrap('x'.repeat(20), 60, 12), ['xxxxxxxx', 'xxxxxxxx', 'xxxx']);
  assert.deepEqual(wrap('', 60, 12), []);
});
