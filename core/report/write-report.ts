import type { AdaptationOutcome } from '../../schemas/outcome/decision.ts';
import type { WriteReportInput } from '../../schemas/plan/control-activities.ts';
import { renderCharts } from './charts/index.ts';
import { renderHtml } from './html.ts';
import { renderMarkdown } from './markdown.ts';
import { collectReportData, type ReportDeps } from './report-data.ts';

/** Writes a run's report three times: HTML for people, Markdown for reviews, JSON for programs. */
export async function writeReport(
  input: WriteReportInput,
  deps: ReportDeps,
): Promise<AdaptationOutcome['report']> {
  const { store } = deps;
  const data = await collectReportData(input, deps);
  const page = renderHtml(data, await renderCharts(data));
  return {
    html: await store.putBytes(Buffer.from(page), 'text/html'),
    json: await store.putJson(data),
    markdown: await store.putBytes(Buffer.from(renderMarkdown(data)), 'text/markdown'),
  };
}
