/** Which Temporal server a command talks to. */
import { dirname, join } from 'node:path';
import { readConnectConfig } from '../../client/connect.ts';
import type { Settings } from '../../runtime/settings.ts';
import { runningServer } from '../../runtime/server/dev-server.ts';

/** A file that is not there: an empty one would be refused. */
const NO_CONFIG = join(dirname(process.execPath), 'no-temporal.toml');

/** Database of a home folder's own server. */
export function homeDatabase({ home }: Pick<Settings, 'home'>): string {
  return join(home, 'temporal.db');
}

/** Address that the environment or a profile names; undefined when neither does. Throws `TEMPORAL_CONFIG_INVALID`. */
export function configuredAddress(): string | undefined {
  return readConnectConfig().connectionOptions.address || undefined;
}

/**
 * Makes everything that connects from here on use a server of this machine, and nothing of what is meant for another
 * one: its namespace, key or certificates. Where a server was configured, it is left as it is.
 */
export function useLocalServer(address: string, env: NodeJS.ProcessEnv = process.env): void {
  for (const name of Object.keys(env)) {
    if (name.startsWith('TEMPORAL_') && name !== 'TEMPORAL_CLI_PATH') delete env[name];
  }
  env['TEMPORAL_ADDRESS'] = address;
  env['TEMPORAL_CONFIG_FILE'] = NO_CONFIG;
}

/** Uses the server that runs for this home, where no other is configured: several homes have a server each. */
export async function useHomeServer(settings: Settings): Promise<void> {
  if (configuredAddress() !== undefined) return;
  const address = await runningServer(homeDatabase(settings));
  if (address !== null) useLocalServer(address);
}
