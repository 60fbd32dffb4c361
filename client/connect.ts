import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { EscadaFailure } from '../plugins/api/failure.ts';

/** Connects with Temporal's own environment variables and profiles. Throws `SERVER_UNREACHABLE`. */
export async function connectTemporal(): Promise<Client> {
  const { connectionOptions, namespace } = loadClientConnectConfig();
  const address = connectionOptions.address ?? 'localhost:7233';
  try {
    const connection = await Connection.connect({ ...connectionOptions, connectTimeout: '5s' });
    return new Client({ connection, namespace: namespace ?? 'default' });
  } catch (cause) {
    throw new EscadaFailure({
      code: 'SERVER_UNREACHABLE',
      message: `No Temporal server answers at ${address}. Start one with \`escada server\`, or set TEMPORAL_ADDRESS.`,
      fields: { address },
      cause,
    });
  }
}
