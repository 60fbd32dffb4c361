import type { AdaptationSpec } from '../../schemas/adapt/adaptation-spec.ts';
import type { Flowchart, FlowchartNode } from '../../schemas/adapt/flowchart.ts';
import type { IssueList } from './issue-list.ts';

/** Leads every edge to `from` to `to` instead. */
function redirect(node: FlowchartNode, from: string, to: string): FlowchartNode {
  const turned = (name: string) => (name === from ? to : name);
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

/**
 * Puts an `approve` node before each rung that `approvals.rungs` names. A rejected rung counts as climbed without a
 * result: the chart goes on after it.
 */
export function withApprovals(chart: Flowchart, spec: AdaptationSpec, issues: IssueList): Flowchart {
  let { start, nodes } = chart;
  for (const rung of spec.approvals.rungs) {
    const found = Object.entries(nodes).find(([, node]) => node.form === 'try' && node.rung === rung);
    const [name, node] = found ?? [];
    if (name === undefined || node?.form !== 'try') {
      issues.add('approvals.rungs', `the flowchart has no node that tries "${rung}"`);
      continue;
    }
    const gate = `approve-${rung}`.slice(0, 40);
    const { timeoutSeconds } = spec.approvals;
    nodes = {
      ...Object.fromEntries(Object.entries(nodes).map(([at, one]) => [at, redirect(one, name, gate)])),
      [gate]: {
        form: 'approve',
        title: `May ${rung} be climbed?`,
        next: name,
        rejected: node.next,
        ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
      },
    };
    if (start === name) start = gate;
  }
  return { ...chart, start, nodes };
}
