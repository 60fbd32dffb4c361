/** Names of task queues and of the roles that poll them. Pure constants and functions, so that workflow code may use them. */

/** What a step needs: cores, the device that models run on, or a service elsewhere that it waits for. */
export const RESOURCE_CLASSES = ['cpu', 'gpu', 'io'] as const;
export type ResourceClass = (typeof RESOURCE_CLASSES)[number];

/** What a worker takes on. `control`: workflows and their own activities; any other: the steps of that resource class. */
export const ROLES = ['control', ...RESOURCE_CLASSES] as const;
export type Role = (typeof ROLES)[number];

/** The task queue of a role: `<base>` for control, `<base>-cpu`, `<base>-gpu`, `<base>-io`. */
export function queueName(taskQueue: string, role: Role): string {
  return role === 'control' ? taskQueue : `${taskQueue}-${role}`;
}
