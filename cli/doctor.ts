import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { engineAddonPath } from '../runtime/bootstrap/engine.mjs';
import { listMissing } from '../runtime/bootstrap/prerequisites.mjs';
import { findModel, DEFAULT_MODEL } from '../runtime/bootstrap/model.mjs';
import { findServer } from '../runtime/bootstrap/server.mjs';
import { COMPILED, PACKAGE_ROOT } from '../plugins/sdk/package-paths.ts';
import { readSettings } from '../runtime/settings.ts';
import { EscadaClient } from '../client.ts';
import type { PluginHost } from '../plugins/host/host.ts';
import { createProjectHost } from '../plugins.ts';
import { explainError } from './lib/explain.ts';
import { diskUse } from './lib/disk-use.ts';
import { print } from './lib/terminal.ts';
import { trainerChecks, type Check } from './lib/trainer-checks.ts';

/** Each check returns what it found, or throws what is wrong. */
function checks(host: PluginHost | null): Check[] {
  return [
    {
      name: 'prerequisites',
      run: async () => {
        const missing = await listMissing({
          root: PACKAGE_ROOT,
          prebuilt: COMPILED && existsSync(engineAddonPath(PACKAGE_ROOT)),
        });
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
    {
      name: 'plugins',
      run: async () => {
        const host = createProjectHost();
        const names = host.plugins.map(({ name }) => name).join(', ');
        await host.close();
        return names;
      },
    },
    {
      name: 'engine',
      run: async () => {
        const host = createProjectHost();
        try {
          const model = host.registry.providers
            .get('nf4-lora')
            .open({ id: DEFAULT_MODEL, weightFormat: 'nf4' });
          const { engineBuild, isaClass, parameters } = await model.doDescribe(AbortSignal.timeout(60_000));
          return `${engineBuild}, ${isaClass}; the model loads (${parameters} parameters)`;
        } finally {
          await host.close();
        }
      },
    },
    { name: 'disk', run: async () => await diskUse(readSettings()) },
    ...trainerChecks(host?.registry.trainers.values() ?? []),
    {
      name: 'server and workers',
      run: async () => {
        const client = await EscadaClient.connect();
        try {
          await client.requireWorker();
          return `task queue ${readSettings().taskQueue} is polled`;
        } finally {
          await client.close();
        }
      },
    },
  ];
}

/** Null where the plugins are configured wrongly, of which their own check tells. */
function configuredHost(): PluginHost | null {
  try {
    return createProjectHost();
  } catch {
    return null;
  }
}

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
    const host = configuredHost();
    try {
      process.exitCode = (await runChecks(checks(host))) === 0 ? 0 : 1;
    } finally {
      await host?.close();
    }
  });
