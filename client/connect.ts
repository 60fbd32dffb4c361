import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig, type ClientConnectConfig } from '@temporalio/envconfig';
import { EscadaFailure } from '../plugins/sdk/contracts/failure.ts';
import { START_SERVER } from '../schemas/errors/hints.ts';

const DEFAULT_ADDRESS = 'localhost:7233';
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[?::1\]?)(:\d+)?$/i;

/** What Temporal's environment variables and profile say. Throws `TEMPORAL_CONFIG_INVALID`. */
export function readConnectConfig(): ClientConnectConfig {
  try {
    return loadClientConnectConfig();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const profile = process.env['TEMPORAL_PROFILE'];
    throw new EscadaFailure({
      code: 'TEMPORAL_CONFIG_INVALID',
      message: `Temporal's settings${profile ? ` (profile "${profile}")` : ''} cannot be used: ${why}`,
      cause,
    });
  }
}

/** Connects with Temporal's own environment variables and profiles. Throws `SERVER_UNREACHABLE`, `TEMPORAL_CONFIG_INVALID`. */
export async function connectTemporal(): Promise<Client> {
  const { connectionOptions, namespace } = readConnectConfig();
  const address = connectionOptions.address ?? DEFAULT_ADDRESS;
  // A proxy that is meant for the internet does not lead back to this machine.
  const channelArgs = LOOPBACK.test(address) ? { 'grpc.enable_http_proxy': 0 } : {};
  try {
    const connection = await Connection.connect({ ...connectionOptions, channelArgs, connectTimeout: '5s' });
    return new Client({ connection, namespace: namespace ?? 'default' });
  } catch (cause) {
    throw new EscadaFailure({
      code: 'SERVER_UNREACHABLE',
      message: `No Temporal server answers at ${address}. ${START_SERVER}`,
      fields: { address },
      cause,
    });
  }
}
