import { drawFlowchart } from '../flowchart/draw.ts';
import type { ReportData } from '../report-data.ts';
import { costChart, SECONDS, TOKENS } from './cost.ts';
import { funnelChart } from './funnel.ts';
import { ladderChart } from './ladder.ts';
import { lossChart } from './loss.ts';
import { profileChart } from './profile.ts';
import { NARROW_PX, WIDE_PX } from './vega.ts';

/** The same picture for a page on a desk and for a phone; the page shows one of them. */
export interface Picture {
  readonly wide: string;
  readonly narrow: string;
}

/** Every picture of a report, as SVG. */
export interface Charts {
  /** Small enough for a phone as they are. */
  readonly costs: readonly string[];
  readonly ladder: Picture;
  readonly loss: Picture | null;
  readonly funnel: Picture | null;
  readonly profile: Picture | null;
  readonly flowchart: Picture;
}

async function picture(draw: (widthPx: number) => Promise<string> | string): Promise<Picture> {
  return { wide: await draw(WIDE_PX), narrow: await draw(NARROW_PX) };
}

/** Draws every picture. No picture of a training that did not happen, none of a curation that counted nothing. */
export async function renderCharts(data: ReportData): Promise<Charts> {
  const metric = data.plan.spec.metrics.primary.id;
  const { costs, funnel, trainings } = data;
  const { splits } = data.profile;
  return {
    costs: [
      await costChart(costs, SECONDS, metric, NARROW_PX),
      await costChart(costs, TOKENS, metric, NARROW_PX),
    ],
    ladder: await picture((width) => ladderChart(data, width)),
    loss: trainings.length === 0 ? null : await picture((width) => lossChart(trainings, width)),
    funnel: funnel.length === 0 ? null : await picture((width) => funnelChart(funnel, width)),
    profile: splits === null ? null : await picture((width) => profileChart(splits, width)),
    flowchart: await picture((width) => drawFlowchart(data, width)),
  };
}
