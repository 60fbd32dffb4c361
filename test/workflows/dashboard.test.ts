/** The dashboard in the Temporal UI: what it says, and that it always fits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MeasuredRecord, PathStep, Progress } from '../../schemas/outcome/decision.ts';
import { STANDARD_FLOWCHART } from '../fixtures/standard-flowchart.ts';
import { MAX_DASHBOARD_BYTES } from '../../schemas/plan/constants.ts';
import { cell, scoreBar, secondsText } from '../../workflows/shared/dashboard-text.ts';
import { renderDashboard } from '../../workflows/shared/dashboard.ts';
import { cutToBytes, summaryLine, utf8Bytes } from '../../schemas/common/plain-text.ts';

const PROGRESS: Progress = {
  phase: 'ladder',
  rung: 'icl',
  running: ['icl/recipes/0/answers'],
  finished: [
    { node: 'curate/read', seconds: 1, cached: true },
    { node: 'zero-shot/answers', seconds: 9, cached: false },
  ],
  secondsElapsed: 301.4,
  budgetSeconds: 600,
  approvals: [],
};

function record(rung: string, changes: Partial<MeasuredRecord> = {}): MeasuredRecord {
  const score = { metric: 'chrf', value: 0.5, low: 0.4, high: 0.6, correctedLow: 0.38, n: 32, tried: 1 };
  return {
    outcome: 'measured',
    rung,
    ...score,
    seconds: 9,
    candidateId: rung,
    gain: null,
    cost: {
      promptTokens: 1,
      completionTokens: 1,
      trainingTokens: 0,
      secondsPerAnswer: 0.0834,
      peakMemoryBytes: null,
    },
    diagnostics: [],
    skipped: [],
    reason: `Why ${rung}.`,
    ...changes,
  };
}

const visit = (node: string, answer: PathStep['answer']): PathStep => ({
  node,
  title: STANDARD_FLOWCHART.nodes[node]?.title ?? node,
  answer,
  comparisons: [],
});

const PATH = [visit('try-zero-shot', 'tried'), visit('zero-shot-enough', 'no'), visit('try-icl', 'tried')];
const APPROVAL = { id: 'promote', title: 'Promote the adapter', digest: 'sha256:ab12' };

test('shows phase, time, steps, what runs, the ladder, what comes next and the path', () => {
  const text = renderDashboard(PROGRESS, [record('zero-shot')], 0.75, {
    path: PATH,
    flowchart: STANDARD_FLOWCHART,
  });
  assert.deepEqual(text.replaceAll('\u00a0 |', ' |').split('\n'), [
    '**Phase:** ladder · rung `icl`  ',
    '**Time:** 301 s of 600 s `██████████░░░░░░░░░░`  ',
    '**Steps:** 2 done, 1 of them from the store  ',
    '**Running:** `icl/recipes/0/answers`  ',
    '',
    '| rung | chrf on dev | interval | bound | s per answer | 0 to 1 |',
    '|---|---|---|---|---|---|',
    '| zero-shot | 0.500 | 0.400–0.600 | 0.380 | 0.083 | `········━━●━━··│····` |',
    '| target | 0.750 |  |  |  | `···············│····` |',
    '',
    '**Next:** *Is the target met, on the corrected lower bound?* yes → *Target met*, no → *Does the profile allow rag?*',
    '',
    '**Path:**',
    '',
    '1. Zero-shot prompting → tried',
    '2. Is the target met, on the corrected lower bound? → no',
    '3. Few-shot prompting (ICL) → tried',
    '',
    '- **zero-shot**: Why zero-shot.',
  ]);
});

test('a rung without a score has a row of its own, and does not hide the metric of the others', () => {
  const failed = {
    outcome: 'failed',
    rung: 'peft',
    code: 'TRAINER_FAILED',
    message: 'why',
    seconds: 3,
    reason: 'TRAINER_FAILED: why',
  } as const;
  const cut = { outcome: 'cut-off', rung: 'rag', by: 'seconds', seconds: 3, reason: 'No time.' } as const;
  const text = renderDashboard(PROGRESS, [failed, record('icl'), cut], null).replaceAll('\u00a0 |', ' |');
  const rows = text.split('\n').filter((line) => line.startsWith('|'));
  assert.deepEqual(rows.slice(0, 1).concat(rows[2] ?? '', rows[4] ?? ''), [
    '| rung | chrf on dev | interval | bound | s per answer | 0 to 1 |',
    '| peft | failed |  |  |  | `TRAINER_FAILED` |',
    '| rag | cut off |  |  |  | budget of seconds |',
  ]);
  assert.match(text, /- \*\*peft\*\*: TRAINER&#95;FAILED: why/);
});

test('every phase can be shown with the least that is known', () => {
  for (const phase of [
    'compile',
    'curate',
    'ladder',
    'test',
    'report',
    'done',
    'failed',
    'cancelled',
  ] as const) {
    const bare = { ...PROGRESS, phase, rung: null, running: [], finished: [], budgetSeconds: 0 };
    assert.match(renderDashboard(bare, [], null), new RegExp(`^\\*\\*Phase:\\*\\* ${phase} {2}(\n|$)`));
  }
  const curate = { ...PROGRESS, phase: 'curate' } as const;
  assert.match(
    renderDashboard(curate, [], 0.5, { flowchart: STANDARD_FLOWCHART }),
    /Next:\*\* \*Zero-shot prompting\*/,
  );
});

test('an approval that waits has the update’s name and JSON that can be pasted as it is', () => {
  const text = renderDashboard(PROGRESS, [], null, { approvals: [APPROVAL] });
  assert.match(text, /Send an Update → `approve`/);
  const [, pasted = ''] = /```json\n(.*?)\n```/s.exec(text) ?? [];
  assert.deepEqual(JSON.parse(pasted), { id: 'promote', digest: 'sha256:ab12', verdict: 'approve' });
  assert.ok(
    pasted.split('\n').every((line) => line.length < 80),
    'no line is cut off',
  );
  const many = renderDashboard(PROGRESS, [], null, { approvals: Array.from({ length: 5 }, () => APPROVAL) });
  assert.equal(many.match(/```json/g)?.length, 3);
  assert.match(many, /2 more: see the query `progress`/);
});

test('never grows beyond what the UI shows, and approvals are what stays', () => {
  const rungs = Array.from({ length: 30 }, (_, at) =>
    record(`rung-${at}`, { reason: 'Ünd so weiter. '.repeat(40) }),
  );
  const path = Array.from({ length: 400 }, () => visit('zero-shot-enough', 'no'));
  const running = Array.from({ length: 64 }, (_, at) => `icl/recipes/${at}/${'x'.repeat(500)}`);
  for (let decisions = 0; decisions <= rungs.length; decisions += 1) {
    for (const nodes of [0, 3, 12, 40, 400]) {
      const text = renderDashboard({ ...PROGRESS, running }, rungs.slice(0, decisions), 0.5, {
        path: path.slice(0, nodes),
        flowchart: STANDARD_FLOWCHART,
        approvals: [APPROVAL],
      });
      assert.ok(Buffer.byteLength(text) <= MAX_DASHBOARD_BYTES, `${decisions} records, ${nodes} nodes`);
      assert.match(text, /"verdict": "approve"/);
    }
  }
});

test('other people’s words stay words', () => {
  const hostile = 'a|b`c\n| x | <script> **b** [l](http://x)\u202e';
  const text = renderDashboard(
    { ...PROGRESS, running: [hostile] },
    [record(hostile, { reason: hostile, metric: hostile })],
    0.5,
    {
      path: [{ ...visit('try-icl', 'tried'), title: hostile }],
    },
  );
  const rows = text.split('\n').filter((line) => line.startsWith('|'));
  assert.equal(rows.length, 4);
  for (const row of rows) assert.equal(row.split('|').length, 8, row);
  assert.doesNotMatch(text.replaceAll(/`[^`\n]*`/g, ''), /<script|\[l\]|\*\*b|\u202e/);
});

test('bare addresses do not become links', () => {
  const text = cell('see https://evil.example, HTTP://x.example, WWW.evil.example and a@evil.example');
  assert.doesNotMatch(text, /https?:\/\/|www\.|\w@\w/i);
  assert.equal(
    text.replaceAll('\u2060', ''),
    'see https://evil.example, HTTP://x.example, WWW.evil.example and a@evil.example',
  );
});

test('texts are cut by their bytes and never inside a character', () => {
  assert.equal(cutToBytes('short', 200), 'short');
  for (const text of ['模型'.repeat(300), '😀'.repeat(200), 'ascii '.repeat(100)])
    for (const most of [198, 199, 200, 201]) {
      const cut = cutToBytes(text, most);
      assert.ok(Buffer.byteLength(cut) <= most && Buffer.byteLength(cut) > most - 4, cut);
      assert.ok(text.startsWith(cut.slice(0, -1)) && cut.endsWith('…') && !/\p{Surrogate}/u.test(cut), cut);
    }
});

test('a summary is one line of text in so many bytes, names as they are', () => {
  assert.equal(summaryLine('Adapt my_model-1 to x', 400), 'Adapt my_model-1 to x');
  const hostile = summaryLine(`[a](https://evil.example)\n<b>\u0000 ${'模型'.repeat(300)}`, 400);
  assert.ok(Buffer.byteLength(hostile) <= 400);
  assert.doesNotMatch(hostile, /[[<\n\0]|https:\/\//);
});

test('figures of text', () => {
  assert.deepEqual([0, 0.0834, 0.5, 2.345, 120].map(secondsText), ['0', '0.083', '0.5', '2.3', '120.0']);
  assert.equal(utf8Bytes('aé█😀'), Buffer.byteLength('aé█😀'));
  assert.equal(scoreBar({ value: 1, low: -1, high: 2 }, 0, 4), '│━━●');
  assert.equal(cell(`${'x'.repeat(400)}`).length, 321);
});
