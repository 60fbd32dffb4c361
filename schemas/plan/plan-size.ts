/** How much of a history a plan takes. Pure: specs, the compiler and workflow code count alike. */

/** What counting needs of a node, written or compiled. */
interface Countable {
  readonly id: string;
  readonly form: 'step' | 'map' | 'approval';
  readonly over?: unknown;
  readonly body?: readonly unknown[];
}

/** A question, its timer and its answer take about twelve events, a step about six. */
const STEPS_PER_APPROVAL = 2;

/** Steps of a map's body, once for each item. */
export const mapSteps = (bodySteps: number, items: number): number => bodySteps * items;

/**
 * Steps that a node comes to as far as the plan says, approvals in steps. A map over a list that is not known yet
 * counts as one item here; the run counts again when it knows.
 */
export function stepsOfNode({ form, body = [], over }: Countable): number {
  if (form === 'approval') return STEPS_PER_APPROVAL;
  if (form === 'step') return 1;
  return mapSteps(body.length, Array.isArray(over) ? over.length : 1);
}

/** Steps that a plan comes to, see `stepsOfNode`. */
export function stepsOfPlan(nodes: readonly Countable[]): number {
  return nodes.reduce((sum, node) => sum + stepsOfNode(node), 0);
}

/** Why a plan of so many steps is refused, with what it is made of. */
export function tooManySteps(nodes: readonly Countable[], most: number): string | null {
  const steps = stepsOfPlan(nodes);
  if (steps <= most) return null;
  const [largest] = nodes.toSorted((a, b) => stepsOfNode(b) - stepsOfNode(a));
  const approvals = nodes.filter(({ form }) => form === 'approval').length;
  const made = `${nodes.length} nodes, ${approvals} of them approvals; the largest is ${largest?.id} with ${largest === undefined ? 0 : stepsOfNode(largest)} steps`;
  return `comes to ${steps} steps (${made}); at most ${most} fit, since an approval that waits keeps a run from continuing in a new history. Divide it into several runs`;
}
