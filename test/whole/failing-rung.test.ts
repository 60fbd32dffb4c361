/** Rungs that fail for causes of their own: what the others measured is decided on and reported. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { reasonToSkip } from './support/needs.ts';
import { Place } from './support/place.ts';
import { runAdaptation, writeRows, type FinishedRun } from './support/runs.ts';
import { TestServer } from './support/server.ts';
import { tinySpec } from './support/specs.ts';

const skip = await reasonToSkip({ engine: true });

/** No row fits so short a sequence, and rows are never cut. */
const NEVER_FITS = { r: 4, loraAlpha: 8, maxSteps: 6, maxSeqLengthTokens: 16 };

suite('rungs that fail', { skip }, () => {
  let server: TestServer;
  let place: Place;
  let run: FinishedRun;

  before(async () => {
    server = await TestServer.start();
    place = await Place.open(server, 'failing');
    await writeRows(place);
    await place.startWorker();
    run = await runAdaptation(
      place,
      tinySpec({ rungs: { peft: { learningRates: [1e-2], config: NEVER_FITS } } }),
    );
  });

  after(async () => {
    await place?.close();
    await server?.stop();
  });

  test('decision, report and winner come from the others', async () => {
    const { outcome } = run;
    assert.deepEqual(
      outcome.rungs.map((one) => [one.rung, one.outcome]),
      [
        ['zero-shot', 'measured'],
        ['icl', 'measured'],
        ['peft', 'failed'],
      ],
    );
    const failed = outcome.rungs.at(-1);
    assert.ok(
      failed?.outcome === 'failed' && failed.code === 'TRAINING_DATA_INVALID',
      JSON.stringify(failed),
    );
    assert.match(failed.message, /rows are longer than 16 tokens .* raise maxSeqLengthTokens/);
    assert.deepEqual(
      [outcome.facts['rungs.peft.tried'], outcome.facts['rungs.peft.value']],
      [true, undefined],
    );
    assert.equal(outcome.path.at(-1)?.node, 'target-not-met');
    assert.deepEqual(outcome.test.candidates.map(({ rung }) => rung).sort(), ['icl', 'zero-shot']);
    assert.ok(['icl', 'zero-shot'].includes(outcome.decision.rung));
    const report = (await place.store.readBytes(outcome.report.html)).toString();
    assert.match(report, /peft failed \(TRAINING_DATA_INVALID\) and was not measured/);
  });

  test('the commands report it', async () => {
    const { stdout } = await place.escada(['decisions', run.workflowId]);
    const records = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { outcome: string; code?: string });
    assert.deepEqual(records.at(-1)?.code, 'TRAINING_DATA_INVALID');
    const shown = await place.escada(['report', run.workflowId, '--out', 'report.html']);
    assert.equal(shown.code, 0, shown.stderr);
  });

  test('demonstrations beyond the context of the model are left out, rows beyond it are dropped', async () => {
    // The tiny model's context is 512 tokens. The rows are long enough that one demonstration fits and three do not.
    const long = 'red wool hat and blue oak chair '.repeat(8);
    const rows = Array.from({ length: 72 }, (_, at) => `${at} ${long},${at} A hat.`);
    rows.push(`beyond ${'every context there is '.repeat(120)},A book.`);
    await writeFile(join(place.dataDir, 'long.csv'), `input,output\n${rows.join('\n')}\n`);
    const { outcome } = await runAdaptation(
      place,
      tinySpec({
        name: 'context',
        task: { instruction: 'Say it.', system: '', maxPromptTokens: 2000, maxAnswerTokens: 16 },
        data: {
          source: { path: 'long.csv' },
          columns: { input: 'input', output: 'output' },
          sizes: { train: 32, dev: 8, test: 8 },
        },
        profile: { tuningAllowed: false },
        rungs: {
          icl: {
            recipes: [
              { shots: 8, selection: 'random' },
              { shots: 1, selection: 'random' },
            ],
          },
        },
      }),
    );
    const icl = outcome.rungs.find(({ rung }) => rung === 'icl');
    assert.ok(icl?.outcome === 'measured', JSON.stringify(icl));
    assert.equal(icl.candidateId, 'icl-1-random');
    assert.deepEqual(
      icl.skipped?.map(({ name }) => name),
      ['8-random'],
    );
    assert.match(
      icl.reason,
      /8-random was left out: its longest prompt has \d+ tokens .* the context holds 512\.$/,
    );
    const filtered = (await place.store.readJson(outcome.report.json)) as {
      funnel: { node: string; dropped: number; samples: { reason: string }[] }[];
    };
    const filter = filtered.funnel.find(({ node }) => node === 'token-filter');
    assert.match(filter?.samples[0]?.reason ?? '', /more than the model's context of 512/);
  });

  test('when no recipe fits, the rung fails and the ladder continues', async () => {
    const { outcome } = await runAdaptation(
      place,
      tinySpec({
        name: 'none-fits',
        profile: { tuningAllowed: false },
        rungs: { icl: { recipes: [{ shots: 16, selection: 'random' }] } },
      }),
    );
    const icl = outcome.rungs.find(({ rung }) => rung === 'icl');
    assert.ok(icl?.outcome === 'failed' && icl.code === 'PROMPT_TOO_LONG', JSON.stringify(icl));
    assert.equal(outcome.decision.rung, 'zero-shot');
  });
});
