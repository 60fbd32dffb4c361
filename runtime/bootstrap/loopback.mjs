/** @typedef {import('./exec.mjs').Env} Env */

const LOOPBACK = ['localhost', '127.0.0.1', '::1'];
/** Each is read by some program; gRPC takes `no_grpc_proxy`, where it is set, instead of `no_proxy`. */
const LISTS = ['no_proxy', 'NO_PROXY', 'no_grpc_proxy'];

/**
 * The environment with loopback addresses exempt from any proxy: no proxy reaches this machine's own server and
 * worker, and gRPC, unlike browsers, would ask one for them. What was exempt stays so.
 * @template {Env} E
 * @param {E} env
 * @returns {E & Env}
 */
export function withDirectLoopback(env) {
  const exempt = LISTS.flatMap((name) => (env[name] ?? '').split(',')).map((host) => host.trim());
  const hosts = [...new Set([...exempt.filter((host) => host !== ''), ...LOOPBACK])].join(',');
  return { ...env, ...Object.fromEntries(LISTS.map((name) => [name, hosts])) };
}
