import { join } from 'node:path';
import { Command } from 'commander';
import { PACKAGE_ROOT } from '../plugins/sdk/package-paths.ts';
import { readSettings } from '../runtime/settings.ts';
import { createProgress } from '../runtime/bootstrap/progress.mjs';
import { ensureServer } from '../runtime/bootstrap/server.mjs';
import { startDevServer } from '../runtime/server/dev-server.ts';
import { numberOption } from './lib/number-option.ts';
import { say } from './lib/terminal.ts';

/** The Web UI's port, 1000 above, must be one too. */
const PORT = { min: 1, max: 64_535, integer: true, wanted: 'a port from 1 to 64535, such as 7233' };
const STAY_MS = 60_000;

export const serverCommand = new Command('server')
  .description('Run a Temporal server with its Web UI over a SQLite file, until it is stopped')
  .option('--db <file>', 'database file (default: temporal.db beside the store)')
  .option(
    '--port <number>',
    'port of the server; the Web UI takes the port 1000 above',
    numberOption('--port', PORT),
  )
  .action(async (options: { db?: string; port?: number }) => {
    const progress = createProgress();
    const found = await ensureServer({ root: PACKAGE_ROOT, progress });
    progress.close();
    if (found.kind === 'address') {
      say(`A server is configured already: ${found.address ?? found.from}. Unset it to run one here.`);
      return;
    }
    const databasePath = options.db ?? join(readSettings().home, 'temporal.db');
    const server = await startDevServer({
      cliPath: found.path,
      databasePath,
      ...(options.port === undefined ? {} : { port: options.port }),
    });
    say(`Temporal server at ${server.address}, Web UI at ${server.uiUrl}, database ${databasePath}`);
    if (server.shared) say('It ran already and is shared: it ends with the last command that uses it.');
    const stopped = new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
    });
    // The server is detached, and neither it nor a handler of signals keeps this process running.
    const staying = setInterval(() => undefined, STAY_MS);
    try {
      await Promise.race([stopped, server.died]);
    } finally {
      clearInterval(staying);
      await server.stop();
    }
  });
