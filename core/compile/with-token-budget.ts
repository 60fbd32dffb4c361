import type { AdaptationSpec } from '../../schemas/spec/adaptation-spec.ts';
import type { Comparison, Flowchart, FlowchartNode } from '../../schemas/spec/flowchart.ts';

const SECONDS = /^rungs\.(.+)\.estimateSeconds$/;

/** The same question about tokens, for a question about seconds. */
function aboutTokens({ fact, op, value }: Comparison): Comparison[] {
  const rung = typeof value === 'object' ? SECONDS.exec(value.fact)?.[1] : undefined;
  if (fact !== 'budget.secondsLeft' || rung === undefined) return [];
  return [{ fact: 'budget.tokensLeft', op, value: { fact: `rungs.${rung}.estimateTokens` } }];
}

/** Where the chart asks whether the seconds cover a rung, it also asks for the tokens, if the spec limits them. */
export function withTokenBudget(chart: Flowchart, { budget }: AdaptationSpec): Flowchart {
  if (budget.tokens === undefined) return chart;
  const asked = (node: FlowchartNode): FlowchartNode =>
    node.form === 'ask' ? { ...node, all: [...node.all, ...node.all.flatMap(aboutTokens)] } : node;
  const nodes = Object.entries(chart.nodes).map(([name, node]) => [name, asked(node)] as const);
  return { ...chart, nodes: Object.fromEntries(nodes) };
}
