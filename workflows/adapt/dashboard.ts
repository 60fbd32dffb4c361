import { MAX_DASHBOARD_BYTES } from '../../schemas/common/constants.ts';
import type { DecisionRecord, Progress } from '../../schemas/adapt/candidate.ts';

function bar(value: number): string {
  const full = Math.round(Math.max(0, Math.min(1, value)) * 20);
  return '█'.repeat(full) + '░'.repeat(20 - full);
}

/** The rung-level dashboard of a run as Markdown (tables and block characters; the UI shows no images). */
export function renderDashboard(
  progress: Progress,
  decisions: readonly DecisionRecord[],
  target: number | null,
): string {
  const lines = [
    `**Phase:** ${progress.phase}${progress.rung === null ? '' : ` · rung \`${progress.rung}\``}`,
  ];
  lines.push(`**Time:** ${Math.round(progress.secondsElapsed)} s of ${progress.budgetSeconds} s`);
  if (progress.running.length > 0)
    lines.push(`**Running:** ${progress.running.map((id) => `\`${id}\``).join(', ')}`);
  if (decisions.length > 0) {
    lines.push('', '| rung | dev score | interval | |', '|---|---|---|---|');
    for (const record of decisions) {
      const interval = `${record.low.toFixed(3)} – ${record.high.toFixed(3)}`;
      lines.push(`| ${record.rung} | ${record.value.toFixed(3)} | ${interval} | \`${bar(record.value)}\` |`);
    }
    if (target !== null) lines.push(`| *target* | ${target.toFixed(3)} | | \`${bar(target)}\` |`);
    lines.push('', ...decisions.map((record) => `- **${record.rung}**: ${record.reason}`));
  }
  const text = lines.join('\n');
  return text.length * 2 <= MAX_DASHBOARD_BYTES ? text : `${text.slice(0, MAX_DASHBOARD_BYTES / 2)}\n…`;
}
