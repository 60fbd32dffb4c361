/** `npm start` (runtime/bootstrap/start.mjs) from first line to last, on the tiny checkpoint: server, worker, ladder, figures, report. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { TINY_MODEL, findTemporalCli, reasonToSkip } from './support/needs.ts';
import { untilNoneLeft } from './support/processes.ts';
import { sampleRows, toCsv } from './support/rows.ts';
import { TINY_ROWS, tinySpec } from './support/specs.ts';
import { start } from './support/start.ts';

const skip = await reasonToSkip({ engine: true, realModel: true, procfs: true });

const SPEC = tinySpec({
  model: { id: TINY_MODEL },
  rungs: {
    icl: { recipes: [{ shots: 1, selection: 'random' }] },
    peft: {
      learningRates: [1e-2],
      config: { r: 4, loraAlpha: 8, maxSteps: 2, saveSteps: 1, warmupSteps: 1 },
    },
  },
});

/** The last line of `npm start --json`, as far as this test reads it. */
interface Outcome {
  readonly decision: { readonly rung: string; readonly verdict: string };
  readonly rungs: readonly { readonly rung: string; readonly value: number }[];
  readonly reportPath: string;
  readonly workflowId: string;
  readonly seconds: { readonly setUp: number; readonly run: number };
}

async function homeFolder(t: TestContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'escada-start-'));
  t.after(async () => {
    await untilNoneLeft(home);
    await rm(home, { recursive: true, force: true });
  });
  await writeFile(join(home, 'rows.csv'), toCsv(sampleRows(TINY_ROWS)));
  await writeFile(join(home, 'spec.json'), JSON.stringify(SPEC));
  return home;
}

suite('npm start', { skip }, () => {
  test('ends with a decision, one JSON object and the report, proxy or not, and leaves nothing running', async (t) => {
    const home = await homeFolder(t);
    const cliPath = await findTemporalCli();
    assert.ok(cliPath !== null);
    const { code, stdout, all } = await start({ home, cliPath, args: ['--json', '--spec', 'spec.json'] });
    assert.equal(code, 0, all);
    const outcome = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Outcome;
    assert.deepEqual(
      outcome.rungs.map(({ rung }) => rung),
      ['zero-shot', 'icl', 'peft'],
    );
    assert.ok(outcome.rungs.every(({ value }) => value >= 0 && value <= 1));
    assert.equal(outcome.decision.verdict, 'target-not-met');
    assert.ok(outcome.seconds.setUp > 0 && outcome.seconds.run > 0);
    assert.match(all, /server: Temporal CLI \d/);

    assert.equal(outcome.reportPath, join(home, 'reports', `${outcome.workflowId}.html`));
    const report = outcome.reportPath.replace(/\.html$/, '');
    assert.match(await readFile(`${report}.html`, 'utf8'), /^<!doctype html>/i);
    assert.ok((await readFile(`${report}.md`, 'utf8')).includes(outcome.decision.rung));
    const data = JSON.parse(await readFile(`${report}.json`, 'utf8')) as { workflowId?: string };
    assert.ok(JSON.stringify(data).includes(outcome.workflowId));
  });

  test('a spec that is not there is a message and exit code 2, before anything is started', async (t) => {
    const home = await homeFolder(t);
    const cliPath = await findTemporalCli();
    assert.ok(cliPath !== null);
    const { code, stdout, all } = await start({ home, cliPath, args: ['--json', '--spec', 'absent.json'] });
    assert.equal(code, 2, all);
    assert.equal(stdout, '');
    assert.match(all, /FILE_NOT_FOUND: There is no spec file "absent\.json"\.\n {2}What to do: /);
    assert.doesNotMatch(all, /^\s+at .*\(.*:\d+:\d+\)/m);
  });
});
