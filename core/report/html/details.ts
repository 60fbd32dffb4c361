/** The sections of the page that are about how it came about: path, training, data, facts. */
import type { Charts } from '../charts/index.ts';
import { changeOf } from '../charts/funnel.ts';
import { comparisonText } from '../flowchart/view.ts';
import type { ReportData } from '../report-data.ts';
import { repliesOf, warningsOf, type EpochReplies } from '../trainings.ts';
import { RUN_AGAIN, runFacts, winnerFacts } from '../run-again.ts';
import { facts, markup, table, userText, type Html } from './markup.ts';
import { figure } from './sections.ts';

export function pathSection(data: ReportData, charts: Charts): Html {
  const steps = data.path.map((step, at) => [
    markup`<div class="why">${at + 1}. ${step.title}</div>`,
    step.answer,
    markup`<div class="why">${comparisonText(step) || '–'}</div>`,
  ]);
  const skipped = data.skippedRungs.map((one) => [
    one.rung,
    markup`<div class="why">${userText(one.reason)}</div>`,
  ]);
  return markup`<h2>The path through the flowchart</h2>
    ${figure(charts.flowchart, `Flowchart “${data.plan.flowchart.name}”. Numbered, in full: the path taken. Dashed: not taken.`)}
    <details>
      <summary>The path as a table</summary>
      ${table('Nodes visited', ['node', 'answer', 'because'], steps)}
    </details>
    ${skipped.length === 0 ? markup`<p>No rung was skipped.</p>` : table('Skipped rungs', ['rung', 'why'], skipped)}`;
}

export function trainingSection(data: ReportData, charts: Charts): Html | null {
  if (charts.loss === null) return null;
  const settings = data.trainings.map(({ rung, rows, config }) => {
    const entries = Object.entries(config).map(([name, value]) => [name, JSON.stringify(value)]);
    return markup`<details>
      <summary>Settings of ${rung} (${rows} rows)</summary>
      ${table(`Settings of ${rung}`, ['name', 'value'], entries)}
    </details>`;
  });
  const warned = warningsOf(data.trainings).map(({ rung, kind, message }) => [
    rung,
    kind,
    markup`<div class="why">${userText(message)}</div>`,
  ]);
  return markup`<h2>Training</h2>
    ${figure(charts.loss, 'Loss on the answers’ tokens at every step; the thick line is a running mean where there are many steps.')}
    ${warned.length === 0 ? null : table('Warnings of the training', ['rung', 'kind', 'what'], warned)}
    ${repliesOf(data.trainings).map(epochDetails)} ${settings}`;
}

/** Longest question, answer or reply of a training that the page shows, in characters. */
const REPLY_CHARS = 600;

function epochDetails({ rung, epoch, step, shown, more }: EpochReplies): Html {
  const cell = (text: string): Html =>
    text === ''
      ? markup`<i>(empty)</i>`
      : markup`<div class="why reply">${userText(text, REPLY_CHARS)}</div>`;
  const rows = shown.map(({ id, input, reference, reply, finish }) => [
    userText(id, 60),
    cell(input),
    cell(reference),
    finish === 'length' ? markup`${cell(reply)} <i>(cut off)</i>` : cell(reply),
  ]);
  const title = `Replies of ${rung} after epoch ${epoch}, step ${step}`;
  return markup`<details>
    <summary>${title}</summary>
    ${table(title, ['row', 'question', 'reference', 'reply'], rows)}
    ${more === 0 ? null : markup`<p class="muted">${more} more are in the JSON report.</p>`}
  </details> `;
}

export function dataSection(data: ReportData, charts: Charts): Html {
  const rows = data.funnel.map((one) => [
    one.node,
    one.before,
    one.dropped,
    one.added,
    one.rows,
    markup`<div class="why">${one.summary}</div>`,
  ]);
  const { train, dev, test, unused } = data.split;
  return markup`<h2>Data</h2>
    ${charts.funnel === null ? null : figure(charts.funnel, 'Rows after each step; behind the bar what the step dropped or added.')}
    ${table('Curation', ['step', 'rows in', 'dropped', 'added', 'rows out', 'what it does'], rows)}
    <p>
      Split by group, so that no duplicate is on two sides: ${train} train, ${dev} dev, ${test} test,
      ${unused} unused.
    </p>
    ${data.funnel.map(droppedOf)}`;
}

function droppedOf({ node, samples, ...counts }: ReportData['funnel'][number]): Html {
  if (samples.length === 0) return markup``;
  const rows = samples.map(({ reason, input }) => [
    userText(reason, 200),
    input === '' ? markup`<i>(empty)</i>` : markup`<div class="why">${userText(input, 300)}</div>`,
  ]);
  return markup`<details>
    <summary>${node}: ${samples.length} of the rows behind ${changeOf(counts) || 'it'}</summary>
    ${table(`Rows dropped by ${node}`, ['reason', 'input'], rows)}
  </details> `;
}

export function factsSection(data: ReportData): Html {
  const shownFacts = (all: readonly [string, string][]) =>
    facts(all.map(([name, value]) => [name, userText(value)]));
  return markup`<h2>The winner, to run it again</h2>
    ${shownFacts(winnerFacts(data))}
    <pre><code>${RUN_AGAIN}</code></pre>
    <details>
      <summary>The spec</summary>
      <pre><code>${userText(JSON.stringify(data.plan.spec, null, 2), 60_000)}</code></pre>
    </details>
    <h2>Facts</h2>
    ${shownFacts(runFacts(data))}`;
}
