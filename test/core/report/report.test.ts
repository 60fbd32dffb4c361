/** The report of a finished run, in its three formats: complete, and safe with whatever the data holds. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Charts } from '../../../core/report/charts/index.ts';
import { renderCharts } from '../../../core/report/charts/index.ts';
import { renderHtml } from '../../../core/report/html.ts';
import { renderMarkdown } from '../../../core/report/markdown.ts';
import type { ReportData } from '../../../core/report/report-data.ts';
import { writeReport } from '../../../core/report/write-report.ts';
import { MODEL, TEXTS, reportPlace, type ReportPlace, type Texts } from './fixture.ts';

/** Breaks out of HTML, attributes, SVG, Markdown tables, fences and Mermaid labels wherever it is not escaped. */
const HOSTILE = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onload='alert(1)",
  '</svg></style></title><b>',
  '$& $` ${x} {{ signal }}',
  '| cell | ```\nend```',
  '[a](javascript:x) ![i](http://x/y.png)',
  '\u202egnp.exe\u0000 \ud800',
].join(' ');

const count = (text: string, piece: string | RegExp): number => text.split(piece).length - 1;

suite('the report of an adaptation', () => {
  let place: ReportPlace;
  let page: string;
  let charts: Charts;

  before(async () => {
    place = await reportPlace();
    charts = await renderCharts(place.data);
    page = renderHtml(place.data, charts);
  });

  after(() => place.close());

  test('says in words what to use, why, and what that rests on', () => {
    assert.match(page, /<strong>Use peft: it meets the target\.<\/strong>/);
    assert.match(page, /peft wins: output is blank/);
    assert.match(page, /target 0\.620\s+chrf/);
  });

  test('says how texts become prompts where the model brings no word on it', () => {
    assert.doesNotMatch(page, /Chat template/);
    const details = { ...MODEL.details, 'Chat template': 'none of its own; no system role' };
    const model = { ...MODEL, details };
    const html = renderHtml({ ...place.data, model }, charts);
    assert.match(html, /Chat template/);
    assert.match(html, /none of its own; no system role/);
  });

  test('has every section', () => {
    const titles = [...page.matchAll(/<h2>([^<]+)<\/h2>/g)].map(([, title]) => title);
    assert.deepEqual(titles, [
      'Quality against cost',
      'The ladder',
      'Before and after',
      'The path through the flowchart',
      'Training',
      'Data',
      'The winner, to run it again',
      'Facts',
    ]);
  });

  test('marks the finalists that nothing beats in quality and cost', () => {
    const marked = place.data.costs.map((one) => [
      one.rung,
      one.bestForSeconds,
      one.bestForTokens,
      one.winner,
    ]);
    assert.deepEqual(marked, [
      ['zero-shot', true, true, false],
      ['icl', false, false, false],
      ['peft', true, true, true],
    ]);
    assert.match(charts.costs[0] ?? '', /peft: chrf 0\.681 \(0\.649 – 0\.713\) at 0\.69, on the front/);
  });

  test('counts what each curation step dropped and added', () => {
    const steps = place.data.funnel.map(({ node, before: rowsIn, dropped, added, rows }) => [
      node,
      rowsIn,
      dropped,
      added,
      rows,
    ]);
    assert.deepEqual(steps, [
      ['read', 400, 0, 0, 400],
      ['null-filter', 400, 17, 0, 383],
      ['over-sample', 383, 2, 20, 401],
    ]);
    assert.match(page, /null-filter: 2 of the rows behind −17/);
    assert.match(page, /<i>\(empty\)<\/i>/);
  });

  test('shows what the training replied after every epoch, folded away', () => {
    const epochs = [
      ...page.matchAll(/<details>\s*<summary>(Replies of [^<]+)<\/summary>([\s\S]*?)<\/details>/g),
    ];
    assert.deepEqual(
      epochs.map(([, title]) => title),
      ['Replies of peft after epoch 1, step 30', 'Replies of peft after epoch 2, step 60'],
    );
    for (const [at, [, , body = '']] of epochs.entries()) {
      const [, ...rows] = body.split('<tr>');
      assert.equal(rows.length, 1 + 8, 'a head and the first eight');
      const [, cut = '', empty = '', whole = ''] = rows;
      for (const text of ['row-2', TEXTS.input, TEXTS.reference, `${TEXTS.answer} (${30 * (at + 1)})`])
        assert.ok(whole.includes(`<bdi>${text}</bdi>`), text);
      assert.match(cut, /<i>\(cut off\)<\/i>/);
      assert.doesNotMatch(whole, /cut off|empty/);
      assert.match(empty, /<i>\(empty\)<\/i>/);
      assert.match(body, /1 more are in the JSON report/);
    }
    assert.equal(place.data.trainings[0]?.samples.length, 18);
  });

  test('says why rungs were skipped', () => {
    assert.deepEqual(place.data.skippedRungs, [
      {
        rung: 'rag',
        why: 'not-eligible',
        reason: 'The profile asks for no outside knowledge: output is blank',
      },
      { rung: 'full', why: 'not-in-flowchart', reason: 'The flowchart has no node for it.' },
    ]);
  });

  test('every picture has a title and a description, and the colours of the page', () => {
    const pictures = page.match(/<svg[\s\S]*?<\/svg>/g) ?? [];
    assert.equal(pictures.length, 2 + 4 * 2);
    for (const svg of pictures) {
      assert.match(
        svg,
        /^<svg role="img" aria-labelledby="(\w+)-t \1-d"[^>]*><title id="\1-t">[^<]+<\/title><desc id="\1-d">/,
      );
      assert.doesNotMatch(svg, /(?:fill|stroke)="(?!none|transparent|var\(--)[^"]*"/);
    }
    const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    assert.equal(new Set(ids).size, ids.length, 'ids repeat');
  });

  test('tables name their columns and rows, and can be scrolled by keyboard', () => {
    assert.ok(count(page, '<table>') >= 8);
    assert.equal(count(page, '<table>'), count(page, '<caption>'));
    assert.equal(
      count(page, '<table>'),
      count(page, /class="scroll" tabindex="0" role="region" aria-label="[^"]/),
    );
    assert.equal(count(page, /<th(?! scope="(?:row|col)")[ >]/), 0);
  });

  test('the winner can be run again from what it says', () => {
    for (const text of [
      TEXTS.instruction,
      'PEFT format',
      MODEL.weightsDigest,
      'escada start spec.json',
      '134.5 M parameters',
    ])
      assert.ok(page.includes(text), text);
  });

  test('one page: no scripts, nothing from elsewhere, styles for dark, phone and paper', () => {
    assert.doesNotMatch(page, /<script|<link|<img|<iframe|@import|url\(|(?:src|href)=/i);
    assert.match(page, /Content-Security-Policy" content="default-src &#39;none&#39;;/);
    for (const rule of ['prefers-color-scheme: dark', 'max-width: 44rem', '@media print'])
      assert.ok(page.includes(rule));
  });

  test('Markdown draws the flowchart as text', () => {
    const text = renderMarkdown(place.data);
    const [, mermaid = ''] = /```mermaid\n([\s\S]*?)```/.exec(text) ?? [];
    assert.match(mermaid, /^flowchart TD\n {2}n0\["1: Zero-shot prompting"\]/);
    assert.equal(count(mermaid, '==>'), 11, 'edges taken');
    assert.equal(count(mermaid, '-.->'), 13, 'edges not taken');
    for (const title of ['# products: Use peft', '## Decision records', '## Training', '## Data', '## Facts'])
      assert.ok(text.includes(title), title);
    assert.ok(text.includes('- peft: skipped-step: the loss of step 13 is NaN'));
    assert.match(page, /Warnings of the training[\s\S]*the loss of step 13 is NaN/);
  });

  test('the three artifacts hold the same run; writing them twice gives the same bytes', async () => {
    const deps = { store: place.store, describeModel: async () => MODEL };
    const written = await writeReport(place.input, deps);
    assert.deepEqual(await writeReport(place.input, deps), written);
    assert.equal((await place.store.readBytes(written.html)).toString(), page);
    assert.deepEqual(await place.store.readJson(written.json), JSON.parse(JSON.stringify(place.data)));
  });

  test('a worker that cannot open the model still writes the report', async () => {
    const describeModel = async () => Promise.reject(new Error('no model here'));
    const { json, html } = await writeReport(place.input, { store: place.store, describeModel });
    assert.equal(((await place.store.readJson(json)) as ReportData).model, null);
    assert.doesNotMatch((await place.store.readBytes(html)).toString(), /M parameters/);
  });

  test('a run without training or counted curation has no pictures of them', async () => {
    const candidates = place.input.candidates.map((one) => ({ ...one, training: null, adapter: null }));
    const input = { ...place.input, candidates, curation: {} };
    const { html } = await writeReport(input, { store: place.store, describeModel: async () => MODEL });
    const bare = (await place.store.readBytes(html)).toString();
    assert.doesNotMatch(bare, /<h2>Training|Rows after each/);
    assert.match(bare, /0 train, 0 dev/);
  });
});

suite('other people’s words', () => {
  for (const name of Object.keys(TEXTS) as (keyof Texts)[]) {
    test(`hostile ${name}`, async () => {
      const place = await reportPlace({ [name]: HOSTILE });
      const page = renderHtml(place.data, await renderCharts(place.data));
      const text = renderMarkdown(place.data);
      await place.close();
      const { page: plainPage, text: plainText } = await plain();
      // The same tags, attributes and table cells as with harmless words: nothing became markup.
      assert.deepEqual(tags(page), tags(plainPage));
      assert.equal(cells(text), cells(plainText));
      assert.equal(count(text, '```'), count(plainText, '```'));
      for (const written of [page, text]) {
        assert.doesNotMatch(written, /\u202e|\0/);
        assert.doesNotMatch(written, /\p{Surrogate}/u, 'half a character');
      }
      assert.match(page, /&lt;script&gt;/);
      assert.doesNotMatch(text, /(?<!\\)<|(?<!\\)!\[/);
    });
  }
});

let harmless: { page: string; text: string } | undefined;

/** What harmless words of the same shape give. */
async function plain(): Promise<{ page: string; text: string }> {
  if (harmless !== undefined) return harmless;
  const place = await reportPlace();
  harmless = {
    page: renderHtml(place.data, await renderCharts(place.data)),
    text: renderMarkdown(place.data),
  };
  await place.close();
  return harmless;
}

/** Every tag with the names of its attributes; texts in pictures may wrap into more or fewer lines. */
function tags(page: string): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [, name = '', rest = ''] of page
    .replaceAll(/<text[\s\S]*?<\/text>/g, '')
    .matchAll(/<([a-z0-9]+)((?:\s+[\w:-]+="[^"]*")*)/gi)) {
    const key = [name, ...[...rest.matchAll(/\s([\w:-]+)=/g)].map(([, attribute]) => attribute)].join(' ');
    found[key] = (found[key] ?? 0) + 1;
  }
  return found;
}

/** Cells of all Markdown tables. */
const cells = (text: string): number => count(text, /(?<!\\)\|/);
