import type { ArtifactStoreV1 } from '../../plugins/api/artifact-store.ts';
import type { AdaptationOutcome } from '../../schemas/adapt/candidate.ts';
import type { WriteReportInput } from '../../schemas/adapt/control.ts';
import { funnelChart, ladderChart, lossChart, type LadderPoint } from './charts.ts';
import { renderHtml } from './html.ts';
import { renderMarkdown } from './markdown.ts';
import { collectReportData, type ReportData } from './report-data.ts';

/** Writes a run's report three times: HTML for people, Markdown for reviews, JSON for programs. */
export async function writeReport(
  input: WriteReportInput,
  deps: { readonly store: ArtifactStoreV1 },
): Promise<AdaptationOutcome['report']> {
  const { store } = deps;
  const data = await collectReportData(input, store);
  const { spec } = data.plan;
  const charts = {
    ladder: await ladderChart(ladderPoints(data), spec.target, spec.metrics.primary.id),
    loss: data.losses.length === 0 ? null : await lossChart(data.losses),
    funnel: await funnelChart(data.funnel.map(({ node, rows }) => ({ step: node, rows }))),
  };
  return {
    html: await store.putBytes(Buffer.from(renderHtml(data, charts)), 'text/html'),
    json: await store.putJson(data),
    markdown: await store.putBytes(Buffer.from(renderMarkdown(data)), 'text/markdown'),
  };
}

function ladderPoints(data: ReportData): LadderPoint[] {
  const dev = data.rungs.map(({ rung, value, low, high, n }) => ({
    rung,
    value,
    low,
    high,
    n,
    split: 'dev' as const,
  }));
  const test = data.test.candidates.map(({ rung, value, low, high, n }) => {
    return { rung, value, low, high, n, split: 'test' as const };
  });
  return [...dev, ...test];
}
