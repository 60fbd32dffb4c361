/** How a worker process reaches its server, and says so when it does not. */
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection } from '@temporalio/worker';
import { EscadaFailure, isEscadaFailure } from '../plugins/sdk/contracts/failure.ts';
import type { Role } from '../schemas/plan/queues.ts';

const RECONNECT_MS = 1000;
const CONNECT_TRIES = 60;

export interface Connected {
  readonly connection: NativeConnection;
  readonly namespace: string;
}

/** The native connection fails at once on a dead port, and a server may still be starting. Throws `SERVER_UNREACHABLE`. */
export async function connect(): Promise<Connected> {
  const { connectionOptions, namespace } = loadClientConnectConfig();
  for (let tries = 1; ; tries++) {
    try {
      const connection = await NativeConnection.connect(connectionOptions);
      return { connection, namespace: namespace ?? 'default' };
    } catch (cause) {
      if (tries === 1) process.stderr.write(`worker: no connection yet: ${messageOf(cause)}\n`);
      if (tries >= CONNECT_TRIES) {
        const address = connectionOptions.address ?? 'localhost:7233';
        const message = `No Temporal server answers at ${address}: ${messageOf(cause)}`;
        throw new EscadaFailure({ code: 'SERVER_UNREACHABLE', message, fields: { address }, cause });
      }
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
    }
  }
}

/** The failure of a Worker that could not be made. */
export function notStarted(role: Role, namespace: string, cause: unknown): EscadaFailure {
  return new EscadaFailure({
    code: 'WORKER_FAILED',
    message: `The worker for ${role} cannot start in namespace "${namespace}": ${messageOf(cause)}`,
    fields: { role, namespace },
    cause,
  });
}

/** A failure on one line, with its causes. */
export function messageOf(error: unknown): string {
  const parts: string[] = [];
  for (let one = error; one instanceof Error && parts.length < 5; one = one.cause) {
    // The answer of the server once more, as the native code sees it.
    const message = one.message.split(': Status {')[0] ?? '';
    const part = isEscadaFailure(one) ? `${one.code}: ${message}` : message;
    if (!parts.some((earlier) => earlier.includes(part))) parts.push(part);
  }
  return (parts.length === 0 ? String(error) : parts.join(': ')).replaceAll(/\s*\n\s*/g, ' ');
}
