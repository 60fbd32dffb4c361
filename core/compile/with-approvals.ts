import type { AdaptationSpec } from '../../schemas/spec/adaptation-spec.ts';
import { MAX_NODE_NAME_CHARS, type Flowchart, type FlowchartNode } from '../../schemas/spec/flowchart.ts';
import type { IssueList } from './issue-list.ts';

type Nodes = Flowchart['nodes'];

/** Leads every edge to a key of `gates` to that key's gate instead. */
function redirect(node: FlowchartNode, gates: ReadonlyMap<string, string>): FlowchartNode {
  const turned = (name: string) => gates.get(name) ?? name;
  switch (node.form) {
    case 'ask':
      return { ...node, yes: turned(node.yes), no: turned(node.no) };
    case 'try':
      return { ...node, next: turned(node.next) };
    case 'approve':
      return { ...node, next: turned(node.next), rejected: turned(node.rejected) };
    case 'end':
      return node;
  }
}

/** `approve-<rung>`, or that with a number where the name is taken. */
function gateName(rung: string, taken: ReadonlySet<string>): string {
  const base = `approve-${rung}`;
  for (let at = 1; ; at += 1) {
    const suffix = at === 1 ? '' : `-${at}`;
    const name = base.slice(0, MAX_NODE_NAME_CHARS - suffix.length) + suffix;
    if (!taken.has(name)) return name;
  }
}

/**
 * Puts an `approve` node before each node that tries a rung that needs approval. After a
 * rejection the chart continues behind the rung, which has no result.
 */
export function withApprovals(
  chart: Flowchart,
  rungs: readonly string[],
  { timeoutSeconds }: Pick<AdaptationSpec['approvals'], 'timeoutSeconds'>,
  issues: IssueList,
): Flowchart {
  const gates = new Map<string, string>();
  const names = new Set(Object.keys(chart.nodes));
  const added: [string, FlowchartNode][] = [];
  for (const rung of new Set(rungs)) {
    const tries = triesOf(chart.nodes, rung);
    if (tries.length === 0) issues.add('approvals.rungs', `the flowchart has no node that tries "${rung}"`);
    for (const [name, { next }] of tries) {
      const gate = gateName(rung, names);
      names.add(gate);
      gates.set(name, gate);
      const title = `Run the ${rung} rung?`;
      const time = timeoutSeconds === undefined ? {} : { timeoutSeconds };
      added.push([gate, { form: 'approve', title, next: name, rejected: next, ...time }]);
    }
  }
  const nodes = Object.entries(chart.nodes).map(([name, node]) => [name, redirect(node, gates)] as const);
  // Of a gate only the way past it is led to another gate: the way in leads to the rung it guards.
  const guarded = added.map(([name, gate]) => [name, pastGates(gate, gates)] as const);
  return {
    ...chart,
    start: gates.get(chart.start) ?? chart.start,
    nodes: Object.fromEntries([...nodes, ...guarded]),
  };
}

function triesOf(nodes: Nodes, rung: string): [string, Extract<FlowchartNode, { form: 'try' }>][] {
  return Object.entries(nodes).flatMap(([name, node]) =>
    node.form === 'try' && node.rung === rung ? [[name, node]] : [],
  );
}

function pastGates(gate: FlowchartNode, gates: ReadonlyMap<string, string>): FlowchartNode {
  return gate.form === 'approve' ? { ...gate, rejected: gates.get(gate.rejected) ?? gate.rejected } : gate;
}
