import type { ReportData } from './report-data.ts';

/** Text made safe for HTML: rows and model answers are other people's words. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

const show = (value: number): string => value.toFixed(3);

const STYLE = `
:root { color-scheme: light dark; --fg: #1c1e21; --bg: #fff; --soft: #f4f5f7; --line: #d9dce1; --accent: #2a6fdb; }
@media (prefers-color-scheme: dark) { :root { --fg: #e6e8eb; --bg: #15171a; --soft: #1f2327; --line: #343a40; --accent: #7aa7ff; } }
body { margin: 0 auto; padding: 1.5rem; max-width: 60rem; font: 16px/1.5 system-ui, sans-serif; color: var(--fg); background: var(--bg); }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; } h2 { margin-top: 2.2rem; font-size: 1.2rem; border-bottom: 1px solid var(--line); }
.decision { background: var(--soft); border-left: 4px solid var(--accent); padding: .8rem 1rem; border-radius: 4px; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; } .wide { overflow-x: auto; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n { font-variant-numeric: tabular-nums; white-space: nowrap; } svg { max-width: 100%; height: auto; }
.sample { background: var(--soft); border-radius: 6px; padding: .6rem 1rem; margin: .8rem 0; } .sample dt { font-weight: 600; margin-top: .4rem; }
.sample dd { margin: 0; } code { background: var(--soft); padding: 0 .25rem; border-radius: 3px; } .muted { opacity: .7; font-size: .88rem; }`;

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const headCells = head.map((text) => `<th>${escapeHtml(text)}</th>`).join('');
  const body = rows
    .map((row) => `<tr>${row.map((text) => `<td class="n">${escapeHtml(text)}</td>`).join('')}</tr>`)
    .join('\n');
  return `<div class="wide"><table><thead><tr>${headCells}</tr></thead><tbody>\n${body}\n</tbody></table></div>`;
}

const interval = (one: { low: number; high: number }): string => `${show(one.low)} – ${show(one.high)}`;

function ladderSection(data: ReportData, chart: string): string {
  const metric = data.plan.spec.metrics.primary.id;
  const dev = data.rungs.map((one) => [
    one.rung,
    show(one.value),
    interval(one),
    show(one.correctedLow),
    String(one.n),
    `${one.seconds.toFixed(0)} s`,
  ]);
  const test = data.test.candidates.map((one) => [
    one.rung,
    show(one.value),
    interval(one),
    String(one.n),
    one.score.secondary.map((two) => `${two.metric} ${show(two.value)}`).join(', '),
    String(Math.round(one.score.promptTokens / Math.max(1, one.n))),
    (one.score.seconds / Math.max(1, one.n)).toFixed(2),
  ]);
  const pairs = data.test.comparisons.map((one) => [
    `${one.rung} − ${one.against}`,
    show(one.delta),
    interval(one),
  ]);
  return `<h2>The ladder</h2>${chart}
<p class="muted">Dashed: the target. Bars: bootstrap intervals over rows. Nothing was chosen on the test rows but the winner.</p>
<h3>Dev</h3>${tableOf(['rung', metric, 'interval', 'corrected lower bound', 'rows', 'took'], dev)}
<ul>${data.rungs.map((one) => `<li><b>${escapeHtml(one.rung)}</b>: ${escapeHtml(one.reason)}</li>`).join('')}</ul>
<h3>Test</h3>${tableOf(['rung', metric, 'interval', 'rows', 'other metrics', 'prompt tokens per answer', 'seconds per answer'], test)}
${pairs.length === 0 ? '' : tableOf(['paired difference', 'value', 'interval'], pairs)}`;
}

function trainingSection(data: ReportData, chart: string | null): string {
  if (chart === null) return '';
  const config = Object.entries(data.trainingConfig ?? {}).map(([name, value]) => [
    name,
    JSON.stringify(value),
  ]);
  return `<h2>Training</h2>${chart}<details><summary>Settings</summary>${tableOf(['name', 'value'], config)}</details>`;
}

function dataSection(data: ReportData, chart: string): string {
  const rows = data.funnel.map((one) => [one.node, String(one.rows), String(one.dropped)]);
  const dropped = data.funnel.flatMap((one) =>
    one.samples.map((sample) => [one.node, sample.reason, sample.input.slice(0, 120)]),
  );
  const { train, dev, test, unused } = data.split;
  return `<h2>Data</h2>${chart}${tableOf(['step', 'rows left', 'dropped'], rows)}
<p>Split by group: ${train} train, ${dev} dev, ${test} test, ${unused} unused.</p>
<details><summary>Samples of dropped rows</summary>${tableOf(['step', 'reason', 'input'], dropped)}</details>`;
}

function samplesSection(data: ReportData): string {
  const blocks = data.samples.map((sample) => {
    const answers = sample.answers.map(
      ({ rung, text }) => `<dt>${escapeHtml(rung)}</dt><dd>${escapeHtml(text)}</dd>`,
    );
    return `<dl class="sample"><dt>input</dt><dd>${escapeHtml(sample.input)}</dd>${answers.join('')}<dt>wanted</dt><dd>${escapeHtml(sample.reference)}</dd></dl>`;
  });
  return `<h2>Before and after</h2><p class="muted">The same test prompts, answered by each finalist.</p>${blocks.join('\n')}`;
}

function pathSection(data: ReportData): string {
  const rows = data.path.map((step) => [
    step.title,
    step.answer,
    step.comparisons
      .map((one) => `${one.fact} ${String(one.left)} ${one.is} ${String(one.right)}`)
      .join('; '),
  ]);
  return `<h2>The path through the flowchart</h2>${tableOf(['node', 'answer', 'because'], rows)}`;
}

export interface Charts {
  readonly ladder: string;
  readonly loss: string | null;
  readonly funnel: string;
}

/** One self-contained page: no scripts, nothing loaded from elsewhere. */
export function renderHtml(data: ReportData, charts: Charts): string {
  const { spec } = data.plan;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(spec.name)}: ${escapeHtml(data.decision.rung)}</title><style>${STYLE}</style></head><body>
<h1>${escapeHtml(spec.name)}</h1>
<p class="muted">Run ${escapeHtml(data.workflowId)} · model <code>${escapeHtml(spec.model.id)}</code> (${escapeHtml(spec.model.weightFormat)}) · ${data.seconds.toFixed(0)} s of ${spec.budget.seconds} s · target ${show(spec.target)}</p>
<div class="decision"><b>${escapeHtml(data.decision.rung)} — ${escapeHtml(data.decision.verdict)}</b><br>${escapeHtml(data.decision.reason)}</div>
${ladderSection(data, charts.ladder)}
${samplesSection(data)}
${trainingSection(data, charts.loss)}
${dataSection(data, charts.funnel)}
${pathSection(data)}
</body></html>
`;
}
