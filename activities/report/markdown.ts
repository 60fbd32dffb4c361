import type { ReportData } from './report-data.ts';

const show = (value: number): string => value.toFixed(3);
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ');

/** The report as Markdown. */
export function renderMarkdown(data: ReportData): string {
  const { spec } = data.plan;
  const lines = [
    `# ${spec.name}: ${data.decision.rung} (${data.decision.verdict})`,
    '',
    data.decision.reason,
    '',
    '## Dev',
    '',
    `| rung | ${spec.metrics.primary.id} | interval | corrected lower bound | rows | seconds | why |`,
    '|---|---|---|---|---|---|---|',
    ...data.rungs.map(
      (one) =>
        `| ${one.rung} | ${show(one.value)} | ${show(one.low)}–${show(one.high)} | ${show(one.correctedLow)} | ${one.n} | ${one.seconds.toFixed(0)} | ${cell(one.reason)} |`,
    ),
    '',
    '## Test',
    '',
    '| rung | score | interval | rows |',
    '|---|---|---|---|',
    ...data.test.candidates.map(
      (one) => `| ${one.rung} | ${show(one.value)} | ${show(one.low)}–${show(one.high)} | ${one.n} |`,
    ),
    '',
    ...data.test.comparisons.map(
      (one) => `- ${one.rung} − ${one.against}: ${show(one.delta)} (${show(one.low)} to ${show(one.high)})`,
    ),
    '',
    '## Data',
    '',
    '| step | rows left | dropped |',
    '|---|---|---|',
    ...data.funnel.map((one) => `| ${one.node} | ${one.rows} | ${one.dropped} |`),
    '',
    `Split: ${data.split.train} train, ${data.split.dev} dev, ${data.split.test} test, ${data.split.unused} unused.`,
    '',
    '## Before and after',
    '',
    ...data.samples.flatMap((sample) => [
      `- **input** ${cell(sample.input)}`,
      ...sample.answers.map(({ rung, text }) => `  - **${rung}** ${cell(text)}`),
      `  - **wanted** ${cell(sample.reference)}`,
    ]),
    '',
  ];
  return lines.join('\n');
}
