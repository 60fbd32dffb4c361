import type { PlannedNode } from '../../schemas/plan/pipeline-plan.ts';
import { RESOURCE_CLASSES, type ResourceClass } from '../../schemas/plan/queues.ts';

/** Resource classes that these nodes need, each once: a worker has to poll the queue of every one of them. */
export function resourcesOf(nodes: readonly PlannedNode[]): readonly ResourceClass[] {
  const needed = new Set<ResourceClass>();
  for (const node of nodes) {
    if (node.form === 'step') needed.add(node.resource);
    if (node.form === 'map') for (const step of node.body) needed.add(step.resource);
  }
  return RESOURCE_CLASSES.filter((one) => needed.has(one));
}
