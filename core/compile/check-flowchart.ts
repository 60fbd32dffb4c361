import type { Flowchart, FlowchartNode } from '../../schemas/spec/flowchart.ts';
import { profileSchema } from '../../schemas/spec/profile.ts';
import { nearest } from '../../schemas/common/nearest.ts';
import type { IssueList } from './issue-list.ts';

function nextOf(node: FlowchartNode): readonly string[] {
  if (node.form === 'ask') return [node.yes, node.no];
  if (node.form === 'approve') return [node.next, node.rejected];
  return node.form === 'try' ? [node.next] : [];
}

const nodeOf = (chart: Flowchart, name: string): FlowchartNode | undefined =>
  Object.hasOwn(chart.nodes, name) ? chart.nodes[name] : undefined;

/** Names of the facts that a flowchart may ask for. */
export function knownFacts(rungIds: readonly string[]): string[] {
  const perRung = rungIds.flatMap((id) =>
    ['eligible', 'estimateSeconds', 'estimateTokens', 'tried', 'value', 'low'].map(
      (name) => `rungs.${id}.${name}`,
    ),
  );
  const profile = Object.keys(profileSchema.shape);
  return [
    'target',
    'best.value',
    'best.low',
    'budget.seconds',
    'budget.secondsLeft',
    'budget.tokens',
    'budget.tokensLeft',
    ...profile.map((name) => `profile.${name}`),
    ...perRung,
  ];
}

/** Checks names, rungs and facts of a flowchart, and that every walk ends. */
export function checkFlowchart(chart: Flowchart, rungIds: readonly string[], issues: IssueList): void {
  const facts = knownFacts(rungIds);
  const known = new Set(facts);
  const at = (name: string) => `flowchart.nodes.${name}`;
  if (!Object.hasOwn(chart.nodes, chart.start))
    issues.add('flowchart.start', `there is no node "${chart.start}"`);
  for (const [name, node] of Object.entries(chart.nodes)) {
    for (const next of nextOf(node)) {
      if (!Object.hasOwn(chart.nodes, next)) issues.add(at(name), `there is no node "${next}"`);
    }
    if (node.form === 'try' && !rungIds.includes(node.rung)) {
      issues.add(`${at(name)}.rung`, `there is no rung "${node.rung}"; known: ${rungIds.join(', ')}`);
    }
    if (node.form !== 'ask') continue;
    for (const { fact, value } of node.all) {
      const named = typeof value === 'object' ? [fact, value.fact] : [fact];
      for (const one of named.filter((name) => !known.has(name))) {
        const guess = issues.full ? null : nearest(one, facts);
        issues.add(
          at(name),
          `"${one}" is not a known fact.${guess === null ? '' : ` Did you mean "${guess}"?`}`,
        );
      }
    }
  }
  const loop = findLoop(chart);
  if (loop !== null) issues.add('flowchart', `these nodes form a loop: ${loop.join(' → ')}`);
}

/** The first loop that can be reached; null without one. Does not call itself: a chart may be one long chain. */
function findLoop(chart: Flowchart): readonly string[] | null {
  const finished = new Set<string>();
  const trail: { readonly name: string; readonly next: string[] }[] = [];
  const onTrail = new Set<string>();
  const enter = (name: string): void => {
    const node = nodeOf(chart, name);
    trail.push({ name, next: node === undefined ? [] : [...nextOf(node)].reverse() });
    onTrail.add(name);
  };
  enter(chart.start);
  for (let here = trail.at(-1); here !== undefined; here = trail.at(-1)) {
    const next = here.next.pop();
    if (next === undefined) {
      finished.add(here.name);
      onTrail.delete(here.name);
      trail.pop();
    } else if (onTrail.has(next)) {
      const names = trail.map(({ name }) => name);
      return [...names.slice(names.indexOf(next)), next];
    } else if (!finished.has(next)) enter(next);
  }
  return null;
}
