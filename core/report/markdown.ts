import { comparisonText } from './flowchart/view.ts';
import { mermaidFlowchart } from './flowchart/mermaid.ts';
import type { ReportData } from './report-data.ts';
import { RUN_AGAIN, runFacts, winnerFacts } from './run-again.ts';
import { interval, perAnswer, show, shown, signed } from './text.ts';
import {
  DIAGNOSTICS_HEAD,
  recordCostHead,
  recordCells,
  recordCosts,
  recordDiagnostics,
  recordHead,
} from './decision-records.ts';
import { profileTables, samplingNote } from './profile.ts';
import { endsOf, warningsOf } from './trainings.ts';
import { headline } from './verdict.ts';

/** Text on one line in which nothing is markup any more. */
export function plain(text: string): string {
  return shown(text)
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/[\\`*_{}[\]<>#|!~&$]/g, (one) => `\\${one}`)
    .trim();
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] {
  const line = (cells: readonly (string | number)[]) =>
    `| ${cells.map((one) => plain(String(one))).join(' | ')} |`;
  return ['', line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line), ''];
}

const list = (facts: readonly (readonly [string, string])[]): string[] =>
  facts.map(([name, value]) => `- ${plain(name)}: ${plain(value)}`);

function quality(data: ReportData): string[] {
  const metric = data.plan.spec.metrics.primary.id;
  const costs = data.costs.map((one) => [
    one.winner ? `${one.rung} ★` : one.rung,
    show(one.value),
    interval(one),
    perAnswer(one.secondsPerAnswer),
    one.promptTokensPerAnswer.toFixed(1),
    one.bestForSeconds || one.bestForTokens ? 'yes' : 'no',
  ]);
  const diagnostics = recordDiagnostics(data.rungs);
  const records = data.rungs.map((one) => [...recordCells(one), one.reason]);
  return [
    '## Quality against cost, on test',
    ...table(
      ['rung', metric, 'interval', 'seconds per answer', 'prompt tokens per answer', 'on a front'],
      costs,
    ),
    ...data.test.comparisons.map(
      (one) => `- ${plain(one.rung)} − ${plain(one.against)}: ${signed(one.delta)} (${interval(one)})`,
    ),
    ...data.test.failed.map((one) => `- ${plain(`${one.rung} was not scored: ${one.code}: ${one.message}`)}`),
    '',
    '## Decision records, on dev',
    ...table([...recordHead(metric), 'why'], records),
    'Cost of the candidates, on dev:',
    ...table(recordCostHead(data.rungs), recordCosts(data.rungs)),
    ...(diagnostics.length === 0 ? [] : ['Diagnostics, on dev:', ...table(DIAGNOSTICS_HEAD, diagnostics)]),
  ];
}

function samples(data: ReportData): string[] {
  return [
    '## Before and after',
    '',
    ...data.samples.flatMap((sample) => [
      `- **input** ${plain(sample.input)}`,
      ...sample.answers.map(({ rung, text }) => `  - **${plain(rung)}** ${plain(text)}`),
      `  - **reference** ${plain(sample.reference)}`,
    ]),
    '',
  ];
}

function path(data: ReportData): string[] {
  const steps = data.path.map((step) => [step.title, step.answer, comparisonText(step)]);
  const skipped = data.skippedRungs.map(({ rung, reason }) => [rung, reason]);
  return [
    '## The path through the flowchart',
    '',
    '```mermaid',
    mermaidFlowchart(data),
    '```',
    ...table(['node', 'answer', 'because'], steps),
    ...(skipped.length === 0 ? [] : ['Skipped rungs:', ...table(['rung', 'why'], skipped)]),
  ];
}

function dataLines({ funnel, split }: ReportData): string[] {
  const rows = funnel.map((one) => [one.node, one.before, one.dropped, one.added, one.rows, one.summary]);
  const dropped = funnel.flatMap(({ node, samples: few }) =>
    few.map(
      ({ reason, input }) => `- ${plain(node)}: ${plain(reason)}: ${plain(input.slice(0, 300)) || '(empty)'}`,
    ),
  );
  return [
    '## Data',
    ...table(['step', 'rows in', 'dropped', 'added', 'rows out', 'what it does'], rows),
    `Split: ${split.train} train, ${split.dev} dev, ${split.test} test, ${split.unused} unused.`,
    '',
    ...(dropped.length === 0 ? [] : ['Some of the dropped rows:', '', ...dropped, '']),
  ];
}

function profileLines({ profile }: ReportData): string[] {
  const tables = profileTables(profile).flatMap(({ title, head, rows }) => [
    `**${plain(title)}**`,
    ...table(head, rows),
  ]);
  const note = samplingNote(profile);
  if (tables.length === 0) return [];
  return ['## Profile of the data', '', ...tables, ...(note === null ? [] : [note, ''])];
}

function trainings({ trainings: all }: ReportData): string[] {
  const rows = all.map(({ rung, rows: count, losses, warnings }) => {
    const { first, last } = endsOf(losses);
    return [rung, count, losses.length, show(first), show(last), warnings.length];
  });
  if (rows.length === 0) return [];
  const head = ['rung', 'rows', 'steps', 'first loss (nats)', 'last loss (nats)', 'warnings'];
  const warned = warningsOf(all).map(
    ({ rung, kind, message }) => `- ${plain(`${rung}: ${kind}: ${message}`)}`,
  );
  return ['## Training', ...table(head, rows), ...warned, ...(warned.length === 0 ? [] : [''])];
}

/** The report as Markdown. */
export function renderMarkdown(data: ReportData): string {
  const { advice, meaning, without } = headline(data);
  return [
    `# ${plain(data.plan.spec.name)}: ${plain(advice)}`,
    '',
    plain(data.decision.reason),
    '',
    plain(meaning),
    '',
    ...(without === '' ? [] : [plain(without), '']),
    ...quality(data),
    ...samples(data),
    ...path(data),
    ...trainings(data),
    ...dataLines(data),
    ...profileLines(data),
    '## The winner, to run it again',
    '',
    ...list(winnerFacts(data)),
    '',
    '```sh',
    RUN_AGAIN,
    '```',
    '',
    '## Facts',
    '',
    ...list(runFacts(data)),
    '',
  ].join('\n');
}
