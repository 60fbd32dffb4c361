/** The rung-level dashboard of a run: Markdown for the Temporal UI, which shows tables and text but no images. */
import { MAX_DASHBOARD_BYTES } from '../../schemas/plan/constants.ts';
import type { DecisionRecord, PathStep, Progress } from '../../schemas/outcome/decision.ts';
import type { Approval } from '../../schemas/outcome/approval.ts';
import type { Flowchart, FlowchartNode } from '../../schemas/spec/flowchart.ts';
import { utf8Bytes } from '../../schemas/common/plain-text.ts';
import { bar, cell, code, scoreBar, secondsText } from './dashboard-text.ts';

/** What answers need of an approval. */
type WaitingApproval = Pick<Approval, 'id' | 'title' | 'digest'>;

/** What the dashboard shows beside progress and records, where it is known. */
export interface DashboardExtras {
  readonly path?: readonly PathStep[];
  readonly flowchart?: Flowchart | null;
  readonly approvals?: readonly WaitingApproval[];
}

interface View extends Required<DashboardExtras> {
  readonly progress: Progress;
  readonly decisions: readonly DecisionRecord[];
  readonly target: number | null;
}

/** How much is shown; the next form is taken when one is too long. */
interface Form {
  readonly pathNodes: number;
  readonly reasons: boolean;
  readonly ladder: boolean;
  readonly approvals: number;
}

const FORMS: readonly Form[] = [
  { pathNodes: Infinity, reasons: true, ladder: true, approvals: 3 },
  { pathNodes: 5, reasons: true, ladder: true, approvals: 3 },
  { pathNodes: 5, reasons: false, ladder: true, approvals: 3 },
  { pathNodes: 0, reasons: false, ladder: true, approvals: 3 },
  { pathNodes: 0, reasons: false, ladder: false, approvals: 3 },
  { pathNodes: 0, reasons: false, ladder: false, approvals: 1 },
];

/** The UI gives the dashboard half of its page. */
const BAR_CELLS = 20;
const MAX_RUNNING = 6;
/** A space that Markdown keeps. */
const GAP = '\u00a0';

/**
 * Phase, time, what waits for approval, ladder, what comes next, path and reasons. A pure function of its arguments,
 * in at most `MAX_DASHBOARD_BYTES` bytes of UTF-8: what matters least is left out first.
 */
export function renderDashboard(
  progress: Progress,
  decisions: readonly DecisionRecord[],
  target: number | null,
  extras: DashboardExtras = {},
): string {
  const { path = [], flowchart = null, approvals = [] } = extras;
  const view: View = { progress, decisions, target, path, flowchart, approvals };
  for (const form of FORMS) {
    const text = textOf(view, form);
    if (utf8Bytes(text) <= MAX_DASHBOARD_BYTES) return text;
  }
  return `**Phase:** ${progress.phase}\n\nToo much to show here: see the queries \`progress\` and \`decisions\`.`;
}

function textOf(view: View, form: Form): string {
  return [
    headLines(view.progress),
    approvalLines(view.approvals, form.approvals),
    form.ladder ? ladderLines(view.decisions, view.target) : [],
    nextLines(view),
    pathLines(view.path, form.pathNodes),
    form.reasons ? view.decisions.map(({ rung, reason }) => `- **${cell(rung)}**: ${cell(reason)}`) : [],
  ]
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

function headLines({ phase, rung, running, finished, secondsElapsed, budgetSeconds }: Progress): string[] {
  const lines = [`**Phase:** ${phase}${rung === null ? '' : ` · rung ${code(rung)}`}`];
  if (budgetSeconds > 0) {
    const spent = `${Math.round(secondsElapsed)} s of ${budgetSeconds} s`;
    lines.push(`**Time:** ${spent} \`${bar(secondsElapsed / budgetSeconds, BAR_CELLS)}\``);
  }
  const cached = finished.filter((one) => one.cached).length;
  if (finished.length > 0)
    lines.push(
      `**Steps:** ${finished.length} done${cached === 0 ? '' : `, ${cached} of them from the store`}`,
    );
  if (running.length > 0) {
    const more = running.length > MAX_RUNNING ? ` and ${running.length - MAX_RUNNING} more` : '';
    lines.push(`**Running:** ${running.slice(0, MAX_RUNNING).map(code).join(', ')}${more}`);
  }
  // Two blanks at the end of a line keep the lines apart.
  return lines.map((line) => `${line}  `);
}

/** How to answer what waits, with JSON that can be pasted into the UI as it is. */
export function approvalLines(approvals: readonly WaitingApproval[], most: number): string[] {
  if (approvals.length === 0) return [];
  const each = approvals.slice(0, most).flatMap(({ id, title, digest }) => [
    '',
    cell(title),
    '',
    '```json',
    // On lines of its own each: one long line would be cut off at the edge.
    JSON.stringify({ id, digest, verdict: 'approve' }, null, 2),
    '```',
  ]);
  const more =
    approvals.length > most ? ['', `${approvals.length - most} more: see the query \`progress\`.`] : [];
  return [
    '### Waiting for your approval',
    '',
    'More Actions → Send an Update → `approve`, with this as the data:',
    ...each,
    ...more,
  ];
}

/** A row of a table. The UI sets cells without any space between them, so that one is put into each. */
const row = (cells: readonly string[]): string => `|${cells.map((one) => ` ${one}${GAP} |`).join('')}`;

function ladderLines(decisions: readonly DecisionRecord[], target: number | null): string[] {
  if (decisions.length === 0) return [];
  const metric = decisions.find((one) => one.outcome === 'measured')?.metric ?? 'score';
  return [
    row(['rung', `${cell(metric)} on dev`, 'interval', 'bound', 's per answer', '0 to 1']),
    '|---|---|---|---|---|---|',
    ...decisions.map((one) => row([cell(one.rung), ...ladderCells(one, target)])),
    ...(target === null
      ? []
      : [row(['target', target.toFixed(3), '', '', '', `\`${scoreBar(null, target, BAR_CELLS)}\``])]),
  ];
}

/** Score, interval, bound, seconds per answer and picture; of a rung without a score what happened instead. */
function ladderCells(record: DecisionRecord, target: number | null): string[] {
  if (record.outcome === 'failed') return ['failed', '', '', '', code(record.code)];
  if (record.outcome === 'cut-off') return ['cut off', '', '', '', `budget of ${record.by}`];
  const figures = [record.value, record.low, record.high, record.correctedLow].map((one) => one.toFixed(3));
  const [value = '', low = '', high = '', bound = ''] = figures;
  const perAnswer = secondsText(record.cost.secondsPerAnswer);
  return [value, `${low}–${high}`, bound, perAnswer, `\`${scoreBar(record, target, BAR_CELLS)}\``];
}

function pathLines(path: readonly PathStep[], most: number): string[] {
  const left = Math.max(0, path.length - most);
  const steps = path
    .slice(left)
    .map(({ title, answer }, index) => `${left + index + 1}. ${cell(title)} → ${answer}`);
  if (steps.length === 0) return [];
  return [`**Path${left === 0 ? '' : `, after the first ${left}`}:**`, '', ...steps];
}

function nextLines(view: View): string[] {
  const next = nextText(view);
  return next === '' ? [] : [`**Next:** ${next}`];
}

const named = (node: FlowchartNode | undefined): string => `*${cell(node?.title ?? 'the end')}*`;

/** What follows the phases in which no flowchart is walked. */
const AFTER: Partial<Record<Progress['phase'], string>> = {
  compile: 'curate and split the data, then run the ladder',
  test: 'decide on the test rows, which nothing was chosen on, then write the report',
};

/** The next step of the run, as far as the flowchart says. */
function nextText({ progress: { phase }, path, flowchart }: View): string {
  if (flowchart !== null && phase === 'curate') return named(flowchart.nodes[flowchart.start]);
  if (flowchart !== null && phase === 'ladder') return afterRung(flowchart, path.at(-1)?.node);
  return AFTER[phase] ?? '';
}

function afterRung(chart: Flowchart, here: string | undefined): string {
  const node = here === undefined ? undefined : chart.nodes[here];
  if (node?.form !== 'try') return '';
  const then = chart.nodes[node.next];
  if (then?.form !== 'ask') return named(then);
  return `${named(then)} yes → ${named(chart.nodes[then.yes])}, no → ${named(chart.nodes[then.no])}`;
}
