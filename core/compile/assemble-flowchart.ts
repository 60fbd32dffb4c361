import type { RungPlace, RungV1 } from '../../plugins/sdk/contracts/rung.ts';
import type { Flowchart, FlowchartNode } from '../../schemas/spec/flowchart.ts';

type Declared = Pick<RungV1, 'id' | 'title' | 'place'>;
type Placed = Declared & { readonly place: RungPlace };
type Nodes = Record<string, FlowchartNode>;

/** How the default flowchart ends. */
const ENDS: Nodes = {
  'target-met': { form: 'end', title: 'Target met', verdict: 'target-met' },
  'target-not-met': { form: 'end', title: 'Every eligible rung was tried', verdict: 'target-not-met' },
  'budget-exhausted': {
    form: 'end',
    title: 'The budget covers no further rung',
    verdict: 'budget-exhausted',
  },
};

/** Rungs with a place, in the order in which they are tried; of equals by id. */
export function inPlace(rungs: readonly Declared[]): Placed[] {
  const placed = rungs.flatMap(({ place, ...rung }) => (place === null ? [] : [{ ...rung, place }]));
  return placed.sort((a, b) => a.place.order - b.place.order || (a.id < b.id ? -1 : 1));
}

/**
 * The default flowchart, from where the rungs say that they belong. With the built-in ones it is the order of Meta's guide
 * to adapting language models: prompt first, show examples, retrieve facts, tune weights last; the ladder ends as soon as
 * the target is met.
 */
export function assembleFlowchart(rungs: readonly Declared[]): Flowchart {
  const placed = inPlace(rungs);
  const entries = [...placed.map(entryOf), 'target-not-met'];
  const nodes = placed.map((rung, at) => nodesOf(rung, entries[at + 1] ?? 'target-not-met'));
  return {
    name: 'standard',
    start: entries[0] ?? 'target-not-met',
    nodes: Object.assign({}, ...nodes, ENDS) as Nodes,
  };
}

const entryOf = ({ id, place }: Placed): string => (place.baseline === true ? `try-${id}` : `${id}-eligible`);

/** Whether the rung is eligible and the budget covers it, the rung, and whether the target is met then. */
function nodesOf(rung: Placed, following: string): Nodes {
  const { id, title, place } = rung;
  const asked: Nodes = place.baseline === true ? {} : questionsOf(rung, following);
  return {
    ...asked,
    [`try-${id}`]: { form: 'try', title, rung: id, next: `${id}-enough` },
    [`${id}-enough`]: {
      form: 'ask',
      title: 'Is the target met, on the corrected lower bound?',
      all: [{ fact: 'best.low', op: '>=', value: { fact: 'target' } }],
      yes: 'target-met',
      no: following,
    },
  };
}

function questionsOf({ id, place }: Placed, following: string): Nodes {
  return {
    [`${id}-eligible`]: {
      form: 'ask',
      title: place.question ?? `Does the profile allow ${id}?`,
      all: [{ fact: `rungs.${id}.eligible`, op: '==', value: true }, ...(place.conditions ?? [])],
      yes: `${id}-affordable`,
      no: following,
    },
    [`${id}-affordable`]: {
      form: 'ask',
      title: `Does the budget cover ${id}?`,
      all: [{ fact: 'budget.secondsLeft', op: '>=', value: { fact: `rungs.${id}.estimateSeconds` } }],
      yes: `try-${id}`,
      no: 'budget-exhausted',
    },
  };
}
