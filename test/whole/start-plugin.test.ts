/**
 * `npm start` of a clone with a plugin from outside: packed as npm packs it, installed into a folder that has no `escada`,
 * and named by a configuration file alone.
 */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import exampleSpec from '../../examples/plugin/project/spec.json' with { type: 'json' };
import { cleanEnv, mustRun } from '../package/host.ts';
import { ROOT, findTemporalCli, reasonToSkip } from './support/needs.ts';
import { untilNoneLeft } from './support/processes.ts';
import { start } from './support/start.ts';

const skip = await reasonToSkip({ engine: true, realModel: true, procfs: true });

const EXAMPLE = join(ROOT, 'examples/plugin');

/** The last line of `npm start --json`, as far as this test reads it. */
interface Outcome {
  readonly reportPath: string;
  readonly rungs: readonly {
    rung: string;
    outcome: string;
    code?: string;
    metric?: string;
    value?: number;
  }[];
}

suite('npm start with a plugin that the configuration file lists', { skip }, () => {
  let home = '';
  let project = '';

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'escada-start-plugin-'));
    const [author, env] = [join(home, 'author'), cleanEnv(process.env)];
    project = join(home, 'project');
    await cp(EXAMPLE, author, { recursive: true });
    // Types of `escada` are not there: they are checked with the clone's own sources.
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    await mustRun(author, env, ['node', tsc, '-p', '.', '--noCheck', '--types', 'null']);
    await mustRun(author, env, ['npm', 'pack', '--ignore-scripts', '--loglevel=error']);
    const tarball = (await readdir(author)).find((name) => name.endsWith('.tgz')) ?? assert.fail();
    await mkdir(project);
    await writeFile(join(project, 'package.json'), '{"name":"a-project","private":true}');
    const flags = ['--ignore-scripts', '--offline', '--no-audit', '--no-fund', '--loglevel=error'];
    await mustRun(project, env, ['npm', 'install', ...flags, join(author, tarball)]);
    await cp(join(EXAMPLE, 'project'), project, { recursive: true });
  });

  after(async () => {
    await untilNoneLeft(home);
    await rm(home, { recursive: true, force: true });
  });

  async function run(spec: object, ...args: readonly string[]) {
    const specPath = join(project, 'own-spec.json');
    await writeFile(specPath, JSON.stringify(spec));
    const env = { ESCADA_CONFIG: join(project, 'escada.config.json') };
    const cliPath = (await findTemporalCli()) ?? assert.fail('no Temporal CLI');
    return await start({ home, cliPath, env, args: ['--spec', specPath, ...args] });
  }

  test('nothing of the product is installed beside it', async () => {
    const installed = (await readdir(join(project, 'node_modules'))).filter((name) => !name.startsWith('.'));
    assert.deepEqual(installed, ['escada-plugin-nearest-row']);
  });

  test('its provider, rung, metric, step kind and failure code take part in the run', async () => {
    const { code, stdout, all } = await run(exampleSpec, '--json');
    assert.equal(code, 0, all);
    const outcome = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Outcome;
    assert.deepEqual(
      outcome.rungs.map((one) => [one.rung, one.outcome, one.code ?? one.metric]),
      [
        ['zero-shot', 'failed', 'nearest-row/NO_DEMONSTRATION'],
        ['icl', 'measured', 'first-word'],
        ['hints', 'measured', 'first-word'],
      ],
    );
    for (const { value } of outcome.rungs.slice(1)) assert.ok(value !== undefined && value > 0 && value < 1);
    const report = await readFile(outcome.reportPath, 'utf8');
    for (const text of ['nearest-row.drop-long-answers@1', 'Use a rung that shows demonstrations'])
      assert.ok(report.includes(text), `the report does not say "${text}"`);
  });

  test('a run that fails with its code prints message and help', async () => {
    const nodes = {
      only: { form: 'try', title: 'Zero-shot', rung: 'zero-shot', next: 'end' },
      end: { form: 'end', title: 'The end', verdict: 'target-not-met' },
    };
    const { code, all } = await run({ ...exampleSpec, flowchart: { name: 'one', start: 'only', nodes } });
    assert.equal(code, 2, all);
    assert.match(all, /nearest-row\/NO_DEMONSTRATION: .*the prompt shows no question with its answer/);
    assert.match(all, /What to do: Use a rung that shows demonstrations/);
  });
});
