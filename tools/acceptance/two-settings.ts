/** The two sizes of the acceptance of runs side by side: seconds with a tiny random model, or the real one. */
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readSpecFile } from '../../cli/lib/load-spec.ts';
import { findTemporalCli, ROOT, TINY_MODEL } from '../../test/whole/support/needs.ts';
import { sampleRows, toCsv } from '../../test/whole/support/rows.ts';
import { TINY_ROWS, tinySpec } from '../../test/whole/support/specs.ts';
import { setUpForAcceptance } from './set-up.ts';
import type { Setting } from './two-runs.ts';

const EXAMPLE = join(ROOT, 'examples/product-descriptions');

/** The environment without anything that names a server, a home or a queue. */
function bare(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(
    ([name]) =>
      !/^(TEMPORAL_|NODE_TEST_)/.test(name) &&
      !['ESCADA_HOME', 'ESCADA_TASK_QUEUE', 'ESCADA_DATA_ROOTS', 'INIT_CWD'].includes(name),
  );
  return { ...Object.fromEntries(kept), TEMPORAL_CONFIG_FILE: join(ROOT, 'no-temporal.toml') };
}

/** The command that `npm start` ends in, with a tiny random model: what set-up would find is given. */
export async function tinySetting(root: string): Promise<Setting> {
  const cliPath = await findTemporalCli();
  if (cliPath === null) throw new Error('no Temporal CLI: set ESCADA_TEMPORAL_CLI or put `temporal` on PATH');
  return {
    root,
    cliPath,
    program: [
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      join(ROOT, 'cli/main.ts'),
      'quickstart',
    ],
    env: { ...bare(process.env), ESCADA_MODEL_PATH: TINY_MODEL, ESCADA_TEMPORAL_CLI: cliPath },
    fill: async (folder) => {
      await writeFile(join(folder, 'rows.csv'), toCsv(sampleRows(TINY_ROWS)));
      for (const [name, seed] of [
        ['one.json', 7],
        ['two.json', 8],
      ] as const)
        await writeFile(join(folder, name), JSON.stringify(tinySpec({ seed })));
      return ['one.json', 'two.json'];
    },
  };
}

/** `npm start` itself with the real model, on as few rows as a ladder needs. */
export async function realSetting(root: string): Promise<Setting> {
  const env = await setUpForAcceptance();
  const cliPath = env['ESCADA_TEMPORAL_CLI'];
  if (cliPath === undefined) throw new Error('no Temporal CLI was set up');
  return {
    root,
    cliPath,
    program: ['npm', 'start', '--silent', '--prefix', ROOT, '--'],
    env: { ...bare(env), TEMPORAL_CLI_PATH: cliPath },
    fill: async (folder) => {
      const spec = await readSpecFile(join(EXAMPLE, 'spec.json'));
      await mkdir(join(folder, 'data'), { recursive: true });
      const source = (spec as { data: { source: { path: string } } }).data.source.path;
      await copyFile(join(EXAMPLE, source), join(folder, 'data', 'products.csv'));
      const small = {
        ...spec,
        data: {
          ...spec.data,
          source: { path: 'data/products.csv' },
          sizes: { train: 64, dev: 16, test: 16 },
        },
        budget: { seconds: 36_000 },
        rungs: {
          icl: { recipes: [{ shots: 1, selection: 'nearest' }] },
          peft: { learningRates: [1e-3], config: { r: 8, loraAlpha: 16, maxSteps: 8, saveSteps: 4 } },
        },
      };
      for (const [name, seed] of [
        ['one.json', 7],
        ['two.json', 8],
      ] as const)
        await writeFile(join(folder, name), JSON.stringify({ ...small, seed }));
      return ['one.json', 'two.json'];
    },
  };
}
