import type { Charts } from './charts/index.ts';
import { dataSection, factsSection, pathSection, trainingSection } from './html/details.ts';
import { Html, markup } from './html/markup.ts';
import { costSection, decisionSection, ladderSection, samplesSection } from './html/sections.ts';
import { profileSection } from './html/profile.ts';
import { STYLE } from './html/style.ts';
import type { ReportData } from './report-data.ts';

export { escapeHtml } from './html/markup.ts';

/** Even a mistake in escaping would run and load nothing. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/** One self-contained page: no scripts, nothing loaded from elsewhere. */
export function renderHtml(data: ReportData, charts: Charts): string {
  const { name } = data.plan.spec;
  return markup`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="${POLICY}" />
        <title>${name}: ${data.decision.rung}</title>
        <style>
          ${new Html(STYLE)}
        </style>
      </head>
      <body>
        <main>
          ${decisionSection(data)} ${costSection(data, charts)} ${ladderSection(data, charts)}
          ${samplesSection(data)} ${pathSection(data, charts)} ${trainingSection(data, charts)}
          ${dataSection(data, charts)} ${profileSection(data, charts)} ${factsSection(data)}
        </main>
      </body>
    </html> `.text;
}
