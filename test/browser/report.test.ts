/** The HTML report as people see it: light, dark, on a phone and on paper. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Browser } from 'playwright-core';
import { renderCharts } from '../../core/report/charts/index.ts';
import { renderHtml } from '../../core/report/html.ts';
import { reportPlace, TEXTS, type Texts } from '../core/report/fixture.ts';
import { openBrowser, openPage, picture, reasonToSkipBrowser } from './support/browser.ts';
import { faintTexts, requestsDuring, widths } from './support/look.ts';

const skip = await reasonToSkipBrowser();

const DESK = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };

/** Nothing here can be broken at a blank. */
const ENDLESS = 'unbreakable'.repeat(40);
const HOSTILE = `<script>document.title = 'broken'</script><img src="http://127.0.0.1:9/x.png"> ${ENDLESS}`;

suite('the report in a browser', { skip }, () => {
  let browser: Browser;
  let folder: string;

  before(async () => {
    browser = await openBrowser();
    folder = await mkdtemp(join(tmpdir(), 'escada-browser-'));
  });

  after(async () => {
    await browser?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const write = async (name: string, texts: Partial<Texts> = {}): Promise<string> => {
    const place = await reportPlace(texts);
    const path = join(folder, `${name}.html`);
    await writeFile(path, renderHtml(place.data, await renderCharts(place.data)));
    await place.close();
    return pathToFileURL(path).href;
  };

  for (const [name, view] of [
    ['light', { ...DESK, scheme: 'light' }],
    ['dark', { ...DESK, scheme: 'dark' }],
    ['phone', { ...PHONE, scheme: 'light' }],
    ['phone-dark', { ...PHONE, scheme: 'dark' }],
  ] as const) {
    test(`${name}: says what to use, can be read, does not scroll sideways, loads nothing`, async () => {
      const url = await write(name);
      const page = await openPage(browser, view);
      const seen = await requestsDuring(page, async () => void (await page.goto(url)));
      assert.deepEqual(seen, [url]);
      await page.getByText('Use peft: it meets the target.').waitFor();
      assert.equal(await page.getByRole('heading', { level: 2 }).count(), 8);
      for (const details of await page.locator('summary').all()) await details.click();
      const { content, window } = await widths(page);
      assert.ok(content <= window, `${content} > ${window}`);
      const { looked, faint } = await faintTexts(page);
      assert.ok(looked > 150, `${looked} texts`);
      assert.deepEqual(faint, []);
      const background = await page.evaluate('getComputedStyle(document.body).backgroundColor');
      assert.equal(background, view.scheme === 'dark' ? 'rgb(21, 23, 26)' : 'rgb(255, 255, 255)');
      await picture(page, `report-${name}`, true);
      await page.close();
    });
  }

  test('the pictures have accessible names that say what they show', async () => {
    const page = await openPage(browser, DESK);
    await page.goto(await write('accessible'));
    const pictures = await page.getByRole('img').all();
    const names = await Promise.all(pictures.map((one) => one.locator('title').textContent()));
    assert.deepEqual(names, [
      'Test score against seconds per answer',
      'Test score against prompt tokens per answer',
      'Scores of every rung (chrf), with intervals',
      'Flowchart standard',
      'Loss during training',
      'Rows after each curation step',
    ]);
    await page.close();
  });

  test('replies of a training are folded away until they are asked for', async () => {
    const page = await openPage(browser, PHONE);
    await page.goto(await write('replies'));
    const reply = page.getByText(`${TEXTS.answer} (60)`).first();
    assert.equal(await reply.isVisible(), false);
    await page.getByText('Replies of peft after epoch 2, step 60').first().click();
    await reply.waitFor({ state: 'visible' });
    assert.equal(await page.getByText(`${TEXTS.answer} (30)`).first().isVisible(), false);
    await page.close();
  });

  test('hostile and endless words: nothing runs, nothing is loaded, nothing sticks out', async () => {
    const texts = Object.fromEntries(Object.keys(TEXTS).map((name) => [name, HOSTILE]));
    const url = await write('hostile', texts);
    const page = await openPage(browser, PHONE);
    assert.deepEqual(await requestsDuring(page, async () => void (await page.goto(url))), [url]);
    for (const details of await page.locator('summary').all()) await details.click();
    assert.equal(await page.title(), 'products: peft');
    const { content, window } = await widths(page);
    await picture(page, 'report-hostile', true);
    assert.ok(content <= window, `${content} > ${window}`);
    await page.close();
  });

  test('on paper everything is open and dark on white', async () => {
    const page = await openPage(browser, { ...DESK, scheme: 'dark' });
    await page.goto(await write('paper'));
    await page.emulateMedia({ media: 'print' });
    const { faint } = await faintTexts(page);
    assert.deepEqual(faint, []);
    await page.getByText('learningRate').waitFor();
    const paper = await page.pdf({ format: 'A4' });
    assert.ok(paper.length > 20_000);
    await page.close();
  });
});
