/**
 * The example of a plugin in an outside author's hands: built and tested against the packed package, packed, installed
 * into a fresh project, and used by its configuration file alone, on a real server.
 */
import assert from 'node:assert/strict';
import { cp, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import rootPackage from '../../package.json' with { type: 'json' };
import examplePackage from '../../examples/plugin/package.json' with { type: 'json' };
import exampleSpec from '../../examples/plugin/project/spec.json' with { type: 'json' };
import { activitiesOf } from '../whole/support/history.ts';
import { ROOT, reasonToSkip } from '../whole/support/needs.ts';
import { Place } from '../whole/support/place.ts';
import { TestServer } from '../whole/support/server.ts';
import { cleanEnv, mustRun, packInto, runIn, writeFiles } from './host.ts';

const skip = await reasonToSkip({ engine: true });

const EXAMPLE = join(ROOT, 'examples/plugin');
const INSTALL = ['npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];

const { devDependencies, peerDependencies } = rootPackage;
const TEMPORAL = Object.fromEntries(
  (Object.keys(peerDependencies) as (keyof typeof peerDependencies)[]).map((name) => [
    name,
    devDependencies[name],
  ]),
);

/** The last line of `escada quickstart --json`, as far as this test reads it. */
interface Outcome {
  readonly workflowId: string;
  readonly reportPath: string;
  readonly decision: { readonly rung: string };
  readonly rungs: readonly {
    rung: string;
    outcome: string;
    code?: string;
    metric?: string;
    value?: number;
  }[];
}

/** A flowchart that tries these rungs, whatever they score. */
function chartOf(...rungs: readonly string[]) {
  const names = [...rungs.map((rung) => `try-${rung}`), 'end'];
  const tries = rungs.map((rung, index) => [
    `try-${rung}`,
    { form: 'try', title: rung, rung, next: names[index + 1] },
  ]);
  const end = { form: 'end', title: 'The end', verdict: 'target-not-met' };
  return { name: rungs.join(' '), start: names[0], nodes: { ...(Object.fromEntries(tries) as object), end } };
}

/** A source of the example and everything of the example that it imports. */
async function sourcesOf(file: string, found = new Set<string>()): Promise<Set<string>> {
  if (found.has(file)) return found;
  found.add(file);
  const text = await readFile(join(EXAMPLE, 'src', file), 'utf8');
  for (const [, other = ''] of text.matchAll(/from '\.\/([^']+)'/g)) await sourcesOf(other, found);
  return found;
}

test('what each part takes: its own files, one line of the plugin, none of the product', async (t) => {
  const index = await readFile(join(EXAMPLE, 'src/index.ts'), 'utf8');
  for (const [part, file, most] of [
    ['model provider', 'nearest-row-provider.ts', 4],
    ['rung', 'hints-rung.ts', 1],
    ['step kind', 'drop-long-answers.ts', 1],
    ['metric', 'first-word-metric.ts', 1],
  ] as const) {
    const files = [...(await sourcesOf(file))];
    t.diagnostic(`${part}: ${files.length} files (${files.join(', ')}), and its line in index.ts`);
    assert.ok(files.length <= most, files.join(', '));
    assert.ok(index.includes(`from './${file}'`), file);
  }
});

suite('a plugin from outside', { skip }, () => {
  let server: TestServer;
  let place: Place;
  let env: NodeJS.ProcessEnv;
  let author: string;
  let project: string;
  let outcome: Outcome;

  before(async () => {
    server = await TestServer.start();
    place = await Place.open(server, 'outside');
    [author, project] = [join(place.home, 'author'), join(place.home, 'project')];
    env = cleanEnv({ ...place.env, ESCADA_DATA_ROOTS: join(project, 'data') });
    const escada = `file:${await packInto(join(place.home, 'packed'), env)}`;
    await cp(EXAMPLE, author, { recursive: true });
    const { typescript, '@types/node': node } = devDependencies;
    await writeFiles(author, {
      'package.json': JSON.stringify({
        ...examplePackage,
        devDependencies: { ...TEMPORAL, escada, typescript, '@types/node': node },
      }),
    });
    await mustRun(author, env, INSTALL);
    await mustRun(author, env, ['npm', 'run', 'build']);
    await mustRun(author, env, ['npm', 'pack', '--loglevel=error']);
    const tarball =
      (await readdir(author)).find((name) => name.endsWith('.tgz')) ?? assert.fail('no tarball');
    await cp(join(EXAMPLE, 'project'), project, { recursive: true });
    const dependencies = { ...TEMPORAL, escada, [examplePackage.name]: `file:${join(author, tarball)}` };
    await writeFiles(project, {
      'package.json': JSON.stringify({ name: 'a-project', private: true, dependencies }),
    });
    await mustRun(project, env, INSTALL);
  });

  after(async () => {
    await place?.close();
    await server?.stop();
  });

  const escada = async (...args: string[]) =>
    await runIn(project, env, ['node', 'node_modules/escada/dist/cli/main.js', ...args]);

  async function quickstart(spec: object): Promise<Outcome> {
    await writeFile(join(project, 'own-spec.json'), JSON.stringify(spec));
    const { code, output } = await escada('quickstart', '--json', '--spec', 'own-spec.json');
    assert.equal(code, 0, output);
    return JSON.parse(output.trimEnd().split('\n').at(-1) ?? '') as Outcome;
  }

  test("its author's own tests pass against the packed package", async () => {
    const output = await mustRun(author, env, ['npm', 'test']);
    assert.match(output, /pass 4\b/);
    assert.match(output, /fail 0\b/);
  });

  test('doctor lists it: version, entry, and what it brings', async () => {
    const { output } = await escada('doctor');
    const line = output.split('\n').find((one) => one.includes('nearest-row 0.1.0')) ?? assert.fail(output);
    assert.ok(
      line.includes(`${join(project, 'escada.config.json')}, plugins[0]: escada-plugin-nearest-row`),
      line,
    );
    for (const part of [
      'model provider nearest-row',
      'rung hints',
      'step kind nearest-row.drop-long-answers@1',
      'metric first-word',
      'failure code nearest-row/NO_DEMONSTRATION',
    ])
      assert.ok(line.includes(part), line);
  });

  test('a run uses all of it: provider, curation step, rung, metric; its failure is recorded with code and help', async () => {
    outcome = await quickstart(exampleSpec);
    assert.deepEqual(
      outcome.rungs.map((one) => [one.rung, one.outcome, one.code ?? one.metric]),
      [
        ['zero-shot', 'failed', 'nearest-row/NO_DEMONSTRATION'],
        ['icl', 'measured', 'first-word'],
        ['hints', 'measured', 'first-word'],
      ],
    );
    for (const { value } of outcome.rungs.slice(1)) assert.ok(value !== undefined && value > 0 && value < 1);
    // No worker is left that could answer a query.
    const history = await (await place.client()).handle(outcome.workflowId).fetchHistory();
    const nodes = activitiesOf(history).map(({ id }) => id);
    for (const node of ['curate/short', 'hints/answers', `test/${outcome.decision.rung}/score`])
      assert.ok(nodes.includes(node), nodes.join(', '));
    const report = await readFile(outcome.reportPath, 'utf8');
    for (const text of [
      'hints',
      'first-word',
      'nearest-row/NO_DEMONSTRATION',
      'Use a rung that shows demonstrations',
    ])
      assert.ok(report.includes(text), `the report does not say "${text}"`);
  });

  test('a run that fails with its code ends with message, help and exit code 2', async () => {
    const spec = { ...exampleSpec, flowchart: chartOf('zero-shot') };
    await writeFile(join(project, 'own-spec.json'), JSON.stringify(spec));
    const { code, output } = await escada('quickstart', '--spec', 'own-spec.json');
    assert.equal(code, 2, output);
    assert.match(
      output,
      /escada: nearest-row\/NO_DEMONSTRATION: .*the prompt shows no question with its answer/,
    );
    assert.match(output, /What to do: Use a rung that shows demonstrations/);
  });

  test('its rung and metric serve the built-in model, too', async () => {
    const { rungs } = await quickstart({
      ...exampleSpec,
      model: { provider: 'nf4-lora', id: 'smollm2-135m-instruct' },
      flowchart: chartOf('zero-shot', 'hints'),
      rungs: { hints: { shots: 1 } },
    });
    assert.deepEqual(
      rungs.map(({ rung, outcome: end, metric }) => [rung, end, metric]),
      [
        ['zero-shot', 'measured', 'first-word'],
        ['hints', 'measured', 'first-word'],
      ],
    );
  });

  test('without the package the entry is named, before anything is started', async () => {
    await mkdir(join(project, 'empty'));
    await writeFile(
      join(project, 'empty/escada.config.json'),
      '{"plugins":[{"package":"escada-plugin-absent"}]}',
    );
    const main = join(project, 'node_modules/escada/dist/cli/main.js');
    const { code, output } = await runIn(join(project, 'empty'), env, [
      'node',
      main,
      'start',
      '../spec.json',
    ]);
    assert.equal(code, 2, output);
    assert.match(
      output,
      /PLUGIN_NOT_FOUND: .*empty\/escada\.config\.json, plugins\[0\]: escada-plugin-absent: .*npm install/,
    );
  });
});
