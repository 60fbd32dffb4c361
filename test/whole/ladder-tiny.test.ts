/** A whole adaptation run on a tiny random checkpoint: every layer real, no language skill needed. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { escapeHtml } from '../../core/report/html.ts';
import type { ReportData } from '../../core/report/report-data.ts';
import { MAX_DASHBOARD_BYTES } from '../../schemas/plan/constants.ts';
import type { Estimate } from '../../schemas/outcome/candidate.ts';
import { payloadsOf } from './support/history.ts';
import { reasonToSkip } from './support/needs.ts';
import { Place } from './support/place.ts';
import { MARKER } from './support/rows.ts';
import { runAdaptation, measuredRungs, writeRows, type FinishedRun } from './support/runs.ts';
import { TestServer } from './support/server.ts';
import { tinySpec } from './support/specs.ts';

const skip = await reasonToSkip({ engine: true });

const RUNGS = ['zero-shot', 'icl', 'peft'];

/** References travel, not data: the rule for everything that a history holds. */
const MAX_HISTORY_PAYLOAD_BYTES = 64 * 1024;

/** Curation, one answer and score for zero-shot, two ICL recipes, two trials, final training, three finalists. */
const STEPS = [
  ...['read', 'null-filter', 'normalise', 'exact-dedupe', 'token-filter', 'split'].map(
    (id) => `curate/${id}`,
  ),
  ...['answers', 'score', 'result'].map((id) => `zero-shot/${id}`),
  'icl/fit',
  ...[0, 1].flatMap((recipe) => [`icl/recipes/${recipe}/answers`, `icl/recipes/${recipe}/score`]),
  'icl/result',
  ...[0, 1].flatMap((trial) => [`peft/trials/${trial}/train`, `peft/trials/${trial}/loss`]),
  ...['pick', 'train', 'answers', 'score', 'result'].map((id) => `peft/${id}`),
  ...RUNGS.flatMap((rung) => [`test/${rung}/answers`, `test/${rung}/score`]),
];

suite('a whole adaptation run on the tiny checkpoint', { skip }, () => {
  let server: TestServer;
  let place: Place;
  let run: FinishedRun;

  before(async () => {
    server = await TestServer.start();
    place = await Place.open(server, 'tiny');
    await writeRows(place);
    await place.startWorker();
    run = await runAdaptation(place, tinySpec());
  });

  after(async () => {
    await place?.close();
    await server?.stop();
  });

  const isEstimate = ({ value, low, high, n }: Estimate, rows: number) => {
    assert.ok(low >= 0 && low <= value && value <= high && high <= 1, `${low} ${value} ${high}`);
    assert.equal(n, rows);
  };

  test('runs every rung, decides on test and says why', () => {
    const { outcome } = run;
    assert.deepEqual(
      outcome.rungs.map(({ rung }) => rung),
      RUNGS,
    );
    assert.deepEqual(
      measuredRungs(outcome).map(({ tried }) => tried),
      [1, 3, 5],
    );
    assert.deepEqual(
      outcome.test.candidates.map(({ rung }) => rung),
      RUNGS,
    );
    assert.equal(outcome.test.comparisons.length, 2);
    assert.equal(outcome.decision.verdict, 'target-not-met');
    assert.match(
      outcome.decision.reason,
      new RegExp(`^${outcome.decision.rung} scores chrf 0\\.\\d+ .*8 test rows`),
    );
    assert.deepEqual(outcome.path.at(-1)?.node, 'target-not-met');
    assert.equal(outcome.facts['rungs.peft.tried'], true);
    for (const one of measuredRungs(outcome)) isEstimate(one, 8);
    for (const one of outcome.test.candidates) isEstimate(one, 8);
  });

  test('leaves a decision record for every rung', async () => {
    const decisions = await (await place.client()).decisions(run.workflowId);
    assert.deepEqual(decisions, run.outcome.rungs);
    const [first, ...others] = measuredRungs({ rungs: decisions });
    assert.equal(first?.gain, null);
    for (const { gain, reason } of others) {
      assert.ok(gain !== null && gain.low <= gain.delta && gain.delta <= gain.high);
      assert.ok(reason.length > 20);
    }
    for (const { correctedLow, value } of measuredRungs({ rungs: decisions }))
      assert.ok(correctedLow <= value, `${correctedLow} > ${value}`);
  });

  test('reports its progress: every step once, nothing running at the end', () => {
    const { phase, finished, running, budgetSeconds } = run.progress;
    assert.equal(phase, 'done');
    assert.deepEqual(finished.map(({ node }) => node).sort(), [...STEPS].sort());
    assert.deepEqual(
      finished.filter(({ cached }) => cached),
      [],
    );
    assert.deepEqual(running, []);
    assert.equal(budgetSeconds, 36_000);
    assert.ok(
      run.activities.every(({ attempt }) => attempt === 1),
      'a step needed more than one attempt',
    );
  });

  test('writes a self-contained report', async () => {
    const { html, json, markdown } = run.outcome.report;
    const page = (await place.store.readBytes(html)).toString();
    assert.ok(page.includes(escapeHtml(run.outcome.decision.reason)));
    assert.ok((page.match(/<svg/g) ?? []).length >= 3, 'ladder, loss curve and funnel');
    assert.doesNotMatch(page, /<script|(?:src|href)="https?:/);
    const data = (await place.store.readJson(json)) as ReportData;
    assert.equal(data.trainings[0]?.losses.length, 6);
    assert.equal(data.samples.length, 6);
    assert.deepEqual(
      data.funnel.map(({ node, dropped }) => [node, dropped]),
      [
        ['read', 0],
        ['null-filter', 2],
        ['normalise', 0],
        ['exact-dedupe', 1],
        ['token-filter', 1],
      ],
    );
    assert.ok((await place.store.readBytes(markdown)).toString().includes(run.outcome.decision.reason));
  });

  test('carries references through the history, no rows and nothing big', () => {
    const payloads = payloadsOf(run.history).map(({ data }) => Buffer.from(data ?? []));
    assert.ok(payloads.length > STEPS.length);
    assert.equal(Math.max(...payloads.map((data) => data.length)) < MAX_HISTORY_PAYLOAD_BYTES, true);
    assert.deepEqual(payloads.filter((data) => data.includes(MARKER)).map(String), []);
  });

  test('shows a dashboard in the Web UI', async () => {
    const client = await place.client();
    const handle = client.handle(run.workflowId);
    const { currentDetails } = await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata');
    assert.match(currentDetails, /\*\*Phase:\*\* done/);
    for (const rung of RUNGS)
      assert.match(currentDetails, new RegExp(`\\| ${rung}\\s+\\| 0\\.\\d{3}\\s+\\|`));
    assert.ok(Buffer.byteLength(currentDetails) <= MAX_DASHBOARD_BYTES);
    assert.equal(await (await handle.describe()).staticSummary(), 'Adapt smollm2-135m-instruct to tiny');
  });

  test('a second run is served from the store and decides the same', async () => {
    const again = await runAdaptation(place, tinySpec());
    assert.deepEqual(
      again.progress.finished.filter(({ cached }) => !cached),
      [],
    );
    assert.deepEqual(again.progress.finished.map(({ node }) => node).sort(), [...STEPS].sort());
    assert.deepEqual(again.outcome.decision, run.outcome.decision);
    assert.deepEqual(again.outcome.test, run.outcome.test);
  });

  test('the command line reads the same run', async () => {
    const status = await place.escada(['status', run.workflowId]);
    assert.match(status.stdout, /COMPLETED\nphase done/);
    const decisions = await place.escada(['decisions', run.workflowId]);
    assert.deepEqual(
      decisions.stdout
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { rung: string }).rung),
      RUNGS,
    );
    const report = await place.escada(['report', run.workflowId, '--out', 'report.html']);
    assert.match(report.stdout, /Decision: .*\n.*\n\nReport: report\.html/);
    const markdown = await place.escada(['report', run.workflowId, '--format', 'markdown', '--out', '-']);
    assert.match(markdown.stdout, /^# tiny: .*the target was not met/);
    for (const { code, stderr } of [status, decisions, report, markdown]) assert.equal(code, 0, stderr);
    const nowhere = await place.escada(['report', run.workflowId, '--out', 'no/such/report.html']);
    assert.match(
      nowhere.stderr,
      /OUTPUT_NOT_WRITABLE: The report cannot be written to no\/such\/report\.html/,
    );
    assert.equal(nowhere.code, 2);
  });
});
