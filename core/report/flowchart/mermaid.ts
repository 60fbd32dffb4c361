import type { ReportData } from '../report-data.ts';
import { shown } from '../text.ts';
import { viewFlowchart, type ChartNode } from './view.ts';

/** Characters that mean something to Mermaid, to Markdown or to HTML, as Mermaid's own entities. */
function label(text: string): string {
  return shown(text)
    .replaceAll(/[^\p{L}\p{N} .,:;?!()%+=/−–-]/gu, (one) => (one === '\n' ? ' ' : `#${one.codePointAt(0)};`))
    .trim();
}

function shape(node: ChartNode): string {
  const text = `"${label(node.visit === null ? node.title : `${node.visit}: ${node.title}`)}"`;
  switch (node.form) {
    case 'ask':
      return `{{${text}}}`;
    case 'try':
      return `[${text}]`;
    case 'approve':
      return `[/${text}/]`;
    case 'end':
      return `([${text}])`;
  }
}

/** The flowchart as Mermaid text, for Markdown viewers that draw it; the path taken has thick lines. */
export function mermaidFlowchart({ plan, path, rungs }: Pick<ReportData, 'plan' | 'path' | 'rungs'>): string {
  const { nodes, edges } = viewFlowchart(plan.flowchart, path, rungs);
  // Names of our own: a node could be called like a word of Mermaid's.
  const id = new Map(nodes.map(({ name }, at) => [name, `n${at}`]));
  const taken = nodes.filter(({ visit }) => visit !== null).map(({ name }) => id.get(name));
  return [
    'flowchart TD',
    ...nodes.map((node) => `  ${id.get(node.name)}${shape(node)}`),
    ...edges.map((edge) => {
      const arrow = edge.taken ? '==>' : '-.->';
      const answer = edge.label === '' ? '' : `|${edge.label}|`;
      return `  ${id.get(edge.from)} ${arrow}${answer} ${id.get(edge.to)}`;
    }),
    '  classDef taken stroke-width:3px',
    `  class ${taken.join(',')} taken`,
  ].join('\n');
}
