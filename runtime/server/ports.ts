import { createConnection, createServer } from 'node:net';
import { EscadaFailure } from '../../plugins/sdk/contracts/failure.ts';

const PREFERRED_PORT = 7233;
const MAX_PORT = PREFERRED_PORT + 400;
/** The Web UI takes the port this much above the server's. */
const UI_OFFSET = 1000;

/** Where a server on this port and its Web UI are. */
export function endpoints(port: number): { readonly address: string; readonly uiUrl: string } {
  return { address: `127.0.0.1:${port}`, uiUrl: `http://127.0.0.1:${port + UI_OFFSET}` };
}

export function uiPort(port: number): number {
  return port + UI_OFFSET;
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  const free = await new Promise<boolean>((resolve) => {
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => resolve(true));
  });
  if (free) await new Promise((resolve) => probe.close(resolve));
  return free;
}

/** A port from `from` on whose neighbour for the Web UI is free too. Throws `SERVER_PORT_TAKEN`. */
export async function choosePort(from = PREFERRED_PORT): Promise<number> {
  for (let port = from; port < MAX_PORT; port += 2) {
    if ((await isFree(port)) && (await isFree(uiPort(port)))) return port;
  }
  throw new EscadaFailure({
    code: 'SERVER_PORT_TAKEN',
    message: `No free port for a Temporal server was found between ${PREFERRED_PORT} and ${MAX_PORT}.`,
  });
}

/** Whether somebody accepts connections on a port of this machine. */
export async function answers(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
