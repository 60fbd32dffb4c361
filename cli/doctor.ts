import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { engineAddonPath } from '../runtime/bootstrap/engine.mjs';
import { listMissing } from '../runtime/bootstrap/prerequisites.mjs';
import { DEFAULT_MODEL, findModel } from '../runtime/bootstrap/model.mjs';
import { findServer } from '../runtime/bootstrap/server.mjs';
import { COMPILED, PACKAGE_ROOT } from '../plugins/sdk/package-paths.ts';
import { queueName, ROLES } from '../schemas/plan/queues.ts';
import { readSettings } from '../runtime/settings.ts';
import { EscadaClient } from '../client.ts';
import type { PluginHost } from '../plugins/host/host.ts';
import { loadHost } from '../plugins.ts';
import { explainError } from './lib/explain.ts';
import { diskUse } from './lib/disk-use.ts';
import { pluginLines } from './lib/plugin-lines.ts';
import { print } from './lib/terminal.ts';
import { trainerChecks, type Check } from './lib/trainer-checks.ts';

/** Loading a model takes seconds; one that takes a minute is stuck. */
const DESCRIBE_TIMEOUT_MS = 60_000;

/** What this machine has, whatever the plugins. */
const MACHINE: readonly Check[] = [
  {
    name: 'prerequisites',
    run: async () => {
      const prebuilt = COMPILED && existsSync(engineAddonPath(PACKAGE_ROOT));
      const missing = await listMissing({ root: PACKAGE_ROOT, prebuilt });
      if (missing.length === 0) return 'complete';
      throw new Error(missing.map(({ what, found, fix }) => `${what}: ${found}. ${fix}`).join('\n    '));
    },
  },
  {
    name: 'temporal',
    run: async () => {
      const found = await findServer({ root: PACKAGE_ROOT });
      if (found.kind === 'address') return `configured: ${found.address ?? found.from}`;
      return found.kind === 'cli' ? `CLI ${found.version} at ${found.path}` : 'comes with the first start';
    },
  },
  {
    name: 'model',
    run: async () => {
      const found = await findModel(DEFAULT_MODEL);
      return found === null
        ? 'not here yet; `escada model pull` fetches it'
        : `${found.path} (${found.from})`;
    },
  },
];

/** The project's plugins; the other checks of plugins follow only where this one passes. */
async function pluginChecks(host: Promise<PluginHost>): Promise<Check[]> {
  const plugins: Check = { name: 'plugins', run: async () => pluginLines((await host).plugins) };
  const loaded = await host.catch(() => null);
  if (loaded === null) return [plugins];
  return [plugins, modelCheck(loaded), ...trainerChecks(loaded.registry.trainers.values())];
}

/** Whether the model that specs get where they name none can be opened. */
function modelCheck({ registry, defaults }: PluginHost): Check {
  return {
    name: 'engine',
    run: async () => {
      const { provider = '', model: id = '' } = defaults;
      const model = registry.languageModel({ provider, id, options: {} });
      const signal = AbortSignal.timeout(DESCRIBE_TIMEOUT_MS);
      const { parameters, details = {} } = (await model.doDescribe?.(signal)) ?? {};
      const facts = Object.entries(details).map(([title, text]) => `${title}: ${text}`);
      const size = parameters === undefined ? '' : ` (${parameters} parameters)`;
      return [...facts, `the model loads${size}`].join('; ');
    },
  };
}

const SURROUNDINGS: readonly Check[] = [
  { name: 'disk', run: async () => await diskUse(readSettings()) },
  {
    name: 'server and workers',
    run: async () => {
      const client = await EscadaClient.connect();
      try {
        await client.requireWorker();
        const { taskQueue } = readSettings();
        const queues = ROLES.map((role) => queueName(taskQueue, role));
        return `all task queues are polled: ${queues.join(', ')}`;
      } finally {
        await client.close();
      }
    },
  },
];

async function runChecks(all: readonly Check[]): Promise<number> {
  let failed = 0;
  for (const { name, run } of all) {
    const result = await run().then(
      (text) => ({ ok: true, text }),
      (error: unknown) => ({ ok: false, text: explainError(error) }),
    );
    if (!result.ok) failed += 1;
    print(`${result.ok ? 'ok  ' : 'FAIL'} ${name}: ${result.text}`);
  }
  return failed;
}

export const doctorCommand = new Command('doctor')
  .description('Check this machine: prerequisites, server, model, plugins, engine, trainers, workers')
  .action(async () => {
    const host = loadHost();
    try {
      const checks = [...MACHINE, ...(await pluginChecks(host)), ...SURROUNDINGS];
      process.exitCode = (await runChecks(checks)) === 0 ? 0 : 1;
    } finally {
      await (await host.catch(() => null))?.close();
    }
  });
