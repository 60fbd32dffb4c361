import type { PlannedNode } from '../../schemas/plan/pipeline-plan.ts';
import type { IssueList } from './issue-list.ts';

/**
 * Sorts nodes so that each follows those it needs, keeping the written order otherwise. Cycles become issues. Takes
 * time in proportion to nodes and needs (Kahn's algorithm).
 */
export function inOrder<T extends PlannedNode>(nodes: readonly T[], path: string, issues: IssueList): T[] {
  const positions = new Map(nodes.map((node, at) => [node.id, at]));
  const followers = nodes.map((): number[] => []);
  const missing = nodes.map((node, at) => {
    const needs = new Set(node.needs.flatMap((need) => positions.get(need) ?? []));
    for (const need of needs) followers[need]?.push(at);
    return needs.size;
  });
  const ready = new Ready();
  for (const [at, count] of missing.entries()) if (count === 0) ready.add(at);
  const ordered: T[] = [];
  for (let at = ready.take(); at !== undefined; at = ready.take()) {
    const node = nodes[at];
    if (node !== undefined) ordered.push(node);
    for (const follower of followers[at] ?? []) {
      missing[follower] = (missing[follower] ?? 0) - 1;
      if (missing[follower] === 0) ready.add(follower);
    }
  }
  if (ordered.length < nodes.length) {
    const waiting = nodes.filter((_, at) => (missing[at] ?? 0) > 0).map(({ id }) => id);
    issues.add(path, `these nodes wait for each other: ${waiting.join(', ')}`);
  }
  return ordered;
}

/** Positions of nodes that may come next; the first in the written order is taken first. */
class Ready {
  /** In descending order. */
  readonly #positions: number[] = [];

  add(position: number): void {
    let [low, high] = [0, this.#positions.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#positions[middle] ?? 0) > position) low = middle + 1;
      else high = middle;
    }
    this.#positions.splice(low, 0, position);
  }

  take(): number | undefined {
    return this.#positions.pop();
  }
}
