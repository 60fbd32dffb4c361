import type { DecisionRecord, PathStep } from '../../../schemas/outcome/decision.ts';
import type { Comparison, FactValue, Flowchart, FlowchartNode } from '../../../schemas/spec/flowchart.ts';
import { interval, show, unscored } from '../text.ts';

export interface Edge {
  readonly from: string;
  readonly to: string;
  readonly label: 'yes' | 'no' | 'approved' | 'rejected' | '';
  readonly taken: boolean;
}

/** A node as it is drawn: what was found out at it, and its place on the path. */
export interface ChartNode {
  readonly name: string;
  readonly form: FlowchartNode['form'];
  readonly title: string;
  /** Values that were compared, or the score that was measured. */
  readonly note: string;
  /** Position on the path taken, from 1; null for a node that was not visited. */
  readonly visit: number | null;
}

/** A flowchart with the path that a run took through it. */
export interface ChartView {
  /** Nodes that can be reached, each after all that lead to it. */
  readonly nodes: readonly ChartNode[];
  readonly edges: readonly Edge[];
}

type Exit = readonly [to: string, label: Edge['label']];

/** Where a node leads, the ordinary way first. */
function exitsOf(node: FlowchartNode | undefined): readonly Exit[] {
  if (node?.form === 'try') return [[node.next, '']];
  if (node?.form === 'approve')
    return [
      [node.next, 'approved'],
      [node.rejected, 'rejected'],
    ];
  if (node?.form !== 'ask') return [];
  return [
    [node.yes, 'yes'],
    [node.no, 'no'],
  ];
}

function reachable(chart: Flowchart): Set<string> {
  const found = new Set<string>([chart.start]);
  // A set grows while it is walked.
  for (const name of found) for (const [to] of exitsOf(chart.nodes[name])) found.add(to);
  return found;
}

/** Topological order that keeps what follows a "yes" next to its question. */
function inOrder(chart: Flowchart): string[] {
  const waiting = new Map<string, number>();
  for (const name of reachable(chart))
    for (const [to] of exitsOf(chart.nodes[name])) waiting.set(to, (waiting.get(to) ?? 0) + 1);
  const order: string[] = [];
  const ready = [chart.start];
  for (let name = ready.pop(); name !== undefined; name = ready.pop()) {
    order.push(name);
    for (const [to] of [...exitsOf(chart.nodes[name])].reverse()) {
      const left = (waiting.get(to) ?? 1) - 1;
      waiting.set(to, left);
      if (left === 0) ready.push(to);
    }
  }
  return order;
}

const SIGNS: Record<Comparison['op'], string> = {
  '>=': '≥',
  '>': '>',
  '<=': '≤',
  '<': '<',
  '==': '=',
  '!=': '≠',
};

/** Scores with three digits, seconds and rows without any. */
function shortValue(one: FactValue): string {
  if (typeof one !== 'number' || Number.isInteger(one)) return String(one);
  return Math.abs(one) < 10 ? show(one) : one.toFixed(0);
}

/** The comparisons of a step as a person reads them. */
export function comparisonText({ comparisons }: PathStep): string {
  const texts = comparisons.map(({ fact, left, op, right, value: bound }) => {
    if (typeof left === 'boolean' && op === '==' && typeof bound === 'boolean') return `${fact} is ${left}`;
    const named = typeof bound === 'object' ? `${bound.fact} ` : '';
    return `${fact} ${shortValue(left)} ${SIGNS[op]} ${named}${shortValue(right)}`;
  });
  return texts.join('; ');
}

function noteOf(node: FlowchartNode, step: PathStep | undefined, rungs: readonly DecisionRecord[]): string {
  if (step === undefined) return '';
  if (node.form === 'ask')
    return [comparisonText(step), step.answer].filter((text) => text !== '').join(': ');
  const record = node.form === 'try' ? rungs.find(({ rung }) => rung === node.rung) : undefined;
  if (record === undefined) return '';
  return record.outcome === 'measured'
    ? `${record.metric} ${show(record.value)} (${interval(record)})`
    : unscored(record);
}

/** Brings a flowchart and a path together. */
export function viewFlowchart(
  chart: Flowchart,
  path: readonly PathStep[],
  rungs: readonly DecisionRecord[],
): ChartView {
  const order = inOrder(chart);
  const nodes = order.flatMap((name): ChartNode[] => {
    const node = chart.nodes[name];
    if (node === undefined) return [];
    const at = path.findIndex((step) => step.node === name);
    const visit = at < 0 ? null : at + 1;
    return [{ name, form: node.form, title: node.title, note: noteOf(node, path[at], rungs), visit }];
  });
  const edges = order.flatMap((from) =>
    exitsOf(chart.nodes[from]).map(([to, label]): Edge => {
      const at = path.findIndex((step) => step.node === from);
      const answered = label === '' || path[at]?.answer === label;
      return { from, to, label, taken: at >= 0 && answered && path[at + 1]?.node === to };
    }),
  );
  return { nodes, edges };
}
