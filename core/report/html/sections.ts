/** The sections of the page that are about quality: what was decided, at what cost, and how it was found. */
import type { Charts, Picture } from '../charts/index.ts';
import {
  DIAGNOSTICS_HEAD,
  recordCostHead,
  recordCells,
  recordCosts,
  recordDiagnostics,
  recordHead,
} from '../decision-records.ts';
import type { ReportData } from '../report-data.ts';
import { headline } from '../verdict.ts';
import { interval, modelText, perAnswer, show, signed } from '../text.ts';
import { Html, markup, table, userText } from './markup.ts';

/** One of the two pictures is shown, by the width of the page. */
export function figure({ wide, narrow }: Picture, caption: string): Html {
  return markup`<figure>
    <div class="wide">${new Html(wide)}</div>
    <div class="narrow">${new Html(narrow)}</div>
    <figcaption>${caption}</figcaption>
  </figure>`;
}

export function decisionSection(data: ReportData): Html {
  const { spec } = data.plan;
  const { advice, meaning, without } = headline(data);
  return markup`<h1>${spec.name}</h1>
    <p class="muted">
      Run ${userText(data.workflowId)} · model <code>${modelText(spec.model)}</code> ·
      target ${show(spec.target)} ${spec.metrics.primary.id} · ${data.seconds.toFixed(0)} s of
      ${spec.budget.seconds} s
    </p>
    <div class="decision">
      <strong>${advice}</strong>
      <p>${userText(data.decision.reason)}</p>
      <p class="muted">${meaning}</p>
      ${without === '' ? null : markup`<p>${userText(without)}</p>`}
    </div>`;
}

export function costSection(data: ReportData, charts: Charts): Html {
  const metric = data.plan.spec.metrics.primary.id;
  const rows = data.costs.map((one) => [
    one.winner ? `${one.rung} ★` : one.rung,
    show(one.value),
    interval(one),
    perAnswer(one.secondsPerAnswer),
    one.promptTokensPerAnswer.toFixed(1),
    one.completionTokensPerAnswer.toFixed(1),
    one.bestForSeconds || one.bestForTokens ? 'yes' : 'no',
  ]);
  const head = ['rung', metric, 'interval', 'seconds', 'prompt tokens', 'completion tokens', 'on a front'];
  return markup`<h2>Quality against cost</h2>
    <figure>
      <div class="pair">${charts.costs.map((svg) => new Html(svg))}</div>
      <figcaption>
        Scores on the test rows with their intervals. Filled points on the dashed line are the Pareto front:
        nothing else is both better and cheaper. ★ is the decision.
      </figcaption>
    </figure>
    ${table('Finalists, per answer', head, rows)}`;
}

export function ladderSection(data: ReportData, charts: Charts): Html {
  const reasons = data.rungs.map((one) => markup`<li><b>${one.rung}</b>: ${userText(one.reason)}</li>`);
  const diagnostics = recordDiagnostics(data.rungs);
  const metric = data.plan.spec.metrics.primary.id;
  const tests = [
    ...data.test.candidates.map((one) => [
      one.rung,
      show(one.value),
      interval(one),
      one.n,
      one.score.secondary.map((two) => `${two.metric} ${show(two.value)}`).join(', ') || '–',
    ]),
    ...data.test.failed.map((one) => [one.rung, `failed: ${one.code}`, '–', '–', userText(one.message)]),
  ];
  const pairs = data.test.comparisons.map((one) => [
    `${one.rung} − ${one.against}`,
    signed(one.delta),
    interval(one),
  ]);
  return markup`<h2>The ladder</h2>
    ${figure(charts.ladder, 'Dashed: the target. Lines: bootstrap intervals over rows. Choices were made on dev; the test rows were scored once.')}
    ${table('Decision records, measured on dev', recordHead(metric), data.rungs.map(recordCells))}
    ${table('Cost of the candidates, measured on dev', recordCostHead(data.rungs), recordCosts(data.rungs))}
    ${diagnostics.length === 0 ? null : table('Diagnostics, measured on dev', DIAGNOSTICS_HEAD, diagnostics)}
    <ul>
      ${reasons}
    </ul>
    <p class="muted">
      The corrected bound is the lower end of the interval after a correction for every candidate tried so
      far; the target must be reached by it.
    </p>
    ${table('Finalists on test', ['rung', metric, 'interval', 'rows', 'other metrics'], tests)}
    ${pairs.length === 0 ? null : table('Paired differences on the same test rows', ['difference', metric, 'interval'], pairs)}`;
}

export function samplesSection(data: ReportData): Html {
  const blocks = data.samples.map((sample) => {
    const answers = sample.answers.map(
      ({ rung, text }) =>
        markup`<dt>${rung}</dt>
          <dd>${userText(text)}</dd>`,
    );
    return markup`<dl class="sample">
      <dt>input</dt>
      <dd>${userText(sample.input)}</dd>
      ${answers}
      <dt class="reference">reference</dt>
      <dd>${userText(sample.reference)}</dd>
    </dl> `;
  });
  return markup`<h2>Before and after</h2>
    <p class="muted">The first test rows, answered by every finalist: the same prompts, the same limits.</p>
    ${blocks}`;
}
