import type { Group } from './groups.ts';

export const SPLITS = ['train', 'dev', 'test'] as const;
export type SplitName = (typeof SPLITS)[number];
export type Sizes = Readonly<Record<SplitName, number>>;

export interface Assignment {
  readonly root: number;
  readonly split: SplitName;
  /** How many of the group's rows are taken; the others are not used at all. */
  readonly take: number;
}

/** Small splits first: they could not take the large groups that would be left for them otherwise. */
const FILL_ORDER: readonly SplitName[] = ['test', 'dev', 'train'];

/**
 * Fills the splits to exactly `sizes`, groups in the given order and whole as long as they fit; what is then still
 * open is filled with parts of the groups left over. Returns what was assigned and how many rows are still missing.
 */
export function assignGroups(
  groups: readonly Group[],
  sizes: Sizes,
): { readonly assignments: readonly Assignment[]; readonly missing: number } {
  const open: Record<SplitName, number> = { ...sizes };
  const assignments: Assignment[] = [];
  const left: Group[] = [];
  const put = (group: Group, split: SplitName): void => {
    const take = Math.min(group.size, open[split]);
    open[split] -= take;
    assignments.push({ root: group.root, split, take });
  };
  for (const group of groups) {
    const split = FILL_ORDER.find((name) => open[name] >= group.size);
    if (split === undefined) left.push(group);
    else put(group, split);
  }
  for (const group of left) {
    // Where most is open, least of the group is lost.
    const split = [...FILL_ORDER].sort((a, b) => open[b] - open[a])[0] ?? 'train';
    if (open[split] > 0) put(group, split);
  }
  return { assignments, missing: open.train + open.dev + open.test };
}
