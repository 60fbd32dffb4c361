/** An adaptation started, watched and read in the Temporal UI, by hand. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { reasonToSkip } from '../whole/support/needs.ts';
import { Place } from '../whole/support/place.ts';
import { until } from '../whole/support/processes.ts';
import { finished, measuredRungs, writeRows, type FinishedRun } from '../whole/support/runs.ts';
import { TestServer } from '../whole/support/server.ts';
import { tinySpec } from '../whole/support/specs.ts';
import { openBrowser, openPage, picture, reasonToSkipBrowser } from './support/browser.ts';
import { faintTexts, widths } from './support/look.ts';
import { dashboard, openRun, openStartForm, sendUpdate, startRun, uiUrl } from './support/temporal-ui.ts';

const skip = (await reasonToSkip({ engine: true })) || (await reasonToSkipBrowser());

const RUN = 'by-hand';

suite('an adaptation by hand in the Temporal UI', { skip }, () => {
  let server: TestServer;
  let place: Place;
  let browser: Browser;
  let page: Page;
  let run: FinishedRun;

  before(async () => {
    server = await TestServer.start();
    browser = await openBrowser();
    place = await Place.open(server, 'browser');
    await writeRows(place);
    await place.startWorker();
    page = await openPage(browser, { width: 1440, height: 1100 });
  });

  after(async () => {
    await browser?.close();
    await place?.close();
    await server?.stop();
  });

  test('one JSON object in the start form starts a run', async () => {
    const fields = { workflowId: RUN, taskQueue: place.settings.taskQueue, workflowType: 'adaptModel' };
    await openStartForm(page, uiUrl(server), fields);
    await startRun(page, tinySpec());
    await picture(page, 'ui-started');
    const { type, status } = await (await place.client()).describe(RUN);
    assert.equal(type, 'adaptModel');
    assert.match(status.name, /RUNNING|COMPLETED/);
  });

  test('the dashboard of the running adaptation shows its phase, its time and what it does', async () => {
    await openRun(page, uiUrl(server), RUN, 'User Metadata');
    const text = await dashboard(page).innerText();
    assert.match(text.trim(), /^Phase: (?:compile|curate|ladder|test|report|done)/);
    assert.match(text, /Time: \d+ s of 36000 s/);
    await picture(page, 'ui-dashboard-running');
  });

  test('the dashboard of the finished adaptation has the ladder, the path and the reasons', async () => {
    run = await finished(place, RUN);
    await openRun(page, uiUrl(server), RUN, 'User Metadata');
    const board = dashboard(page);
    await board.getByText('Phase: done').waitFor();
    const cells = await board.locator('tbody tr').allInnerTexts();
    assert.deepEqual(
      cells.map((row) =>
        row
          .split('\t')
          .slice(0, 2)
          .map((text) => text.trim()),
      ),
      [...measuredRungs(run.outcome).map(({ rung, value }) => [rung, value.toFixed(3)]), ['target', '0.990']],
    );
    const steps = await board.locator('ol li').allInnerTexts();
    assert.deepEqual(
      steps,
      run.outcome.path.map(({ title, answer }) => `${title} → ${answer}`),
    );
    const text = await board.innerText();
    for (const { reason } of run.outcome.rungs) assert.ok(text.includes(reason), reason);
    await picture(page, 'ui-dashboard-done', true);
  });

  test('the run’s page shows the decision, and the steps by the user’s own words', async () => {
    await openRun(page, uiUrl(server), RUN);
    await page.getByText('Completed').first().waitFor();
    await page.getByText(`"verdict": "${run.outcome.decision.verdict}"`).waitFor();
    await page.getByText('score.predictions@1').first().waitFor();
    await picture(page, 'ui-run-done');
  });

  test('the report of this very run opens, and can be read', async () => {
    const html = (await place.store.readBytes(run.outcome.report.html)).toString();
    const phone = await openPage(browser, { width: 390, height: 844 });
    await phone.setContent(html);
    await phone.getByText(run.outcome.decision.reason).waitFor();
    const { content, window } = await widths(phone);
    assert.ok(content <= window, `${content} > ${window}`);
    assert.deepEqual((await faintTexts(phone)).faint, []);
    await picture(phone, 'report-of-run', true);
    await phone.close();
  });

  test('an approval is given with the JSON that the dashboard shows, and the run continues', async () => {
    const client = await place.client();
    const { workflowId } = await client.startAdaptation(
      tinySpec({ name: 'asks', approvals: { rungs: ['peft'] } }),
    );
    await until('the question', async () => (await client.approvals(workflowId))[0]);
    await openRun(page, uiUrl(server), workflowId, 'User Metadata');
    const board = dashboard(page);
    await board.getByText('Waiting for your approval').waitFor();
    await board.getByText('Run the peft rung?').waitFor();
    await picture(page, 'ui-approval-waits');
    const shown = await board.locator('pre').first().innerText();
    await sendUpdate(page, 'approve', JSON.parse(shown) as unknown);
    await picture(page, 'ui-approval-sent');
    const { outcome } = await finished(place, workflowId);
    assert.deepEqual(
      outcome.approvals.map(({ id, verdict }) => [id, verdict]),
      [['approve-peft', 'approve']],
    );
    assert.ok(outcome.rungs.some(({ rung }) => rung === 'peft'));
  });
});
