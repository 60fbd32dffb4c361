import { EscadaClient } from '../../client.ts';

/** Connects, works, and closes the connection whatever happens. */
export async function withClient(work: (client: EscadaClient) => Promise<void>): Promise<void> {
  const client = await EscadaClient.connect();
  try {
    await work(client);
  } finally {
    await client.close();
  }
}
