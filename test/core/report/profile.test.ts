/** The profile of the data in the report: tables, picture, Markdown and JSON. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { renderCharts } from '../../../core/report/charts/index.ts';
import { renderHtml } from '../../../core/report/html.ts';
import { renderMarkdown } from '../../../core/report/markdown.ts';
import { profileTables, reportProfile, samplingNote } from '../../../core/report/profile.ts';
import type { DataProfile, SplitProfile } from '../../../schemas/outcome/data-profile.ts';
import { reportPlace, type ReportPlace } from './fixture.ts';

const lengths = (p50: number) => ({ mean: p50 + 0.5, min: 1, p10: 2, p50, p90: p50 * 2, max: p50 * 3 });

const split = (rows: number, changes: Partial<SplitProfile> = {}): SplitProfile => ({
  ...{ rows, sampledRows: rows, input: lengths(40), output: lengths(7), classes: null },
  ...changes,
});

const LABEL = '<b>refund</b> | x';
const classes = (rows: number, share: number) => [
  { label: LABEL, rows, share },
  { label: 'other', rows: 3, share: 1 - share },
];

const TEXTS: DataProfile = { train: split(240), dev: split(32), test: split(48) };
const LABELS: DataProfile = {
  train: split(400_000, { sampledRows: 200_000, classes: classes(9, 0.75) }),
  dev: split(32, { classes: classes(1, 0.25) }),
  test: split(48, { classes: classes(2, 0.4) }),
};
const TOKENS = { promptP50: 30, promptP95: 60, answerP50: 5, answerP95: 9, maxPrompt: 80, maxAnswer: 12 };

suite('the profile of the data in the report', () => {
  let place: ReportPlace;
  before(async () => (place = await reportPlace()));
  after(() => place.close());

  test('comes from the outputs of the steps that computed it', () => {
    const curation = { read: { rows: 3 }, 'token-filter': { tokens: TOKENS }, split: { profile: TEXTS } };
    const found = reportProfile(curation);
    assert.deepEqual(found, { splits: TEXTS, tokens: TOKENS });
    assert.deepEqual(reportProfile({ read: { rows: 3 }, split: { profile: 'none' } }), {
      splits: null,
      tokens: null,
    });
    assert.deepEqual(profileTables({ splits: null, tokens: null }), []);
  });

  test('lengths of every split, and of tokens where they are known', () => {
    const [chars, tokens, ...more] = profileTables({ splits: TEXTS, tokens: TOKENS });
    assert.deepEqual(more, []);
    assert.deepEqual(chars?.rows[0], ['train, input', '240', '40.5', '1', '2', '40', '80', '120']);
    assert.deepEqual(chars?.rows.at(-1), ['test, output', '48', '7.5', '1', '2', '7', '14', '21']);
    assert.deepEqual(tokens?.rows, [
      ['prompt', '30', '60', '80'],
      ['answer', '5', '9', '12'],
    ]);
  });

  test('classes with rows and shares, side by side for the splits', () => {
    const table = profileTables({ splits: LABELS, tokens: null }).find(({ title }) => title === 'Classes');
    assert.deepEqual(table?.rows[0], [LABEL, '9 (75.0 %)', '1 (25.0 %)', '2 (40.0 %)']);
    assert.equal(
      samplingNote({ splits: LABELS, tokens: null }),
      'Computed from 200000 of 400000 rows of train: every k-th row in file order.',
    );
    assert.equal(samplingNote({ splits: TEXTS, tokens: null }), null);
  });

  for (const [name, splits, picture] of [
    ['texts', TEXTS, /Lengths in characters by split.*train, input: median 40, 2 to 80/s],
    ['labels', LABELS, /Classes by split.*in train: 75\.0 %/s],
  ] as const) {
    test(`${name}: the page has table and picture, Markdown the table, and no label is markup`, async () => {
      const data = { ...place.data, profile: { splits, tokens: TOKENS } };
      const charts = await renderCharts(data);
      assert.match(charts.profile?.wide ?? '', picture);
      const page = renderHtml(data, charts);
      assert.match(page, /<h2>Profile of the data<\/h2>/);
      assert.match(page, /Lengths in tokens/);
      assert.doesNotMatch(page, /<b>refund/);
      const text = renderMarkdown(data);
      assert.match(text, /## Profile of the data/);
      assert.match(text, /\| train, input \| \d+ \| 40\.5 \|/);
      if (splits === LABELS) assert.ok(text.includes('| \\<b\\>refund\\</b\\> \\| x | 9 (75.0 %) |'), text);
      assert.deepEqual((JSON.parse(JSON.stringify(data)) as typeof data).profile.splits, splits);
    });
  }

  test('without a profile the report has no such section', async () => {
    const charts = await renderCharts(place.data);
    assert.equal(charts.profile, null);
    assert.doesNotMatch(renderHtml(place.data, charts), /Profile of the data/);
  });
});
