/** What can go wrong between a host's Worker and ours. */
import { EscadaFailure } from '../plugins/sdk/contracts/failure.ts';

/** Throws `PLUGIN_OPTIONS_INVALID` for an empty list or a word that is no role. */
export function requireRoles(roles: readonly string[], known: readonly string[]): void {
  const unknown = roles.filter((role) => !known.includes(role));
  if (roles.length > 0 && unknown.length === 0) return;
  const found = roles.length === 0 ? 'it is empty' : `there is no ${unknown.join(', ')}`;
  throw new EscadaFailure({
    code: 'PLUGIN_OPTIONS_INVALID',
    message: `EscadaPlugin, "roles": ${found}. Use one or more of ${known.join(', ')}, or leave it out for all.`,
    fields: { roles, known },
  });
}

/** A clash would replace the host's activity without a word. Throws `ACTIVITY_NAME_TAKEN`. */
export function requireFreeNames(taken: object, needed: object): void {
  const names = Object.keys(needed).filter((name) => Object.hasOwn(taken, name));
  if (names.length === 0) return;
  throw new EscadaFailure({
    code: 'ACTIVITY_NAME_TAKEN',
    message: `This worker has activities that Escada needs the names of: ${names.join(', ')}. Rename them, or give Escada a Worker on a task queue of its own.`,
    fields: { names },
  });
}

/** Made when a plugin that serves a Worker already meets another one. */
export function pluginReused(taskQueue: string): EscadaFailure {
  return new EscadaFailure({
    code: 'WORKER_PLUGIN_REUSED',
    message: `This EscadaPlugin serves a Worker already and was given to one on "${taskQueue}". Load an EscadaPlugin for each Worker, and list it at the Worker or at its connection, not at both.`,
    fields: { taskQueue },
  });
}
