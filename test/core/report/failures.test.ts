/** A run in which not everything went well: what failed or was cut off is reported beside what was measured. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { renderCharts } from '../../../core/report/charts/index.ts';
import { renderHtml } from '../../../core/report/html.ts';
import { renderMarkdown } from '../../../core/report/markdown.ts';
import { skippedRungs } from '../../../core/report/skipped-rungs.ts';
import { headline } from '../../../core/report/verdict.ts';
import type { ReportData } from '../../../core/report/report-data.ts';
import { recordText } from '../../../cli/lib/follow.ts';
import { outcomeJson, renderOutcome } from '../../../cli/lib/summary.ts';
import type {
  AdaptationOutcome,
  Compared,
  CutOffRecord,
  FailedRecord,
  PathStep,
} from '../../../schemas/outcome/decision.ts';
import { STANDARD_FLOWCHART } from '../../fixtures/standard-flowchart.ts';
import { reportPlace, type ReportPlace } from './fixture.ts';

const MESSAGE = 'a <b>training</b> would need 9 GB, 2 GB are free.';
const FAILED: FailedRecord = {
  outcome: 'failed',
  rung: 'peft',
  code: 'TRAINING_OUT_OF_MEMORY',
  message: MESSAGE,
  seconds: 12,
  reason: `TRAINING_OUT_OF_MEMORY: ${MESSAGE}`,
};
const CUT_OFF: CutOffRecord = {
  outcome: 'cut-off',
  rung: 'full',
  by: 'tokens',
  seconds: 7,
  reason: 'The budget of tokens ran out while it was running.',
};

suite('a run in which rungs failed', () => {
  let place: ReportPlace;
  let data: ReportData;

  before(async () => {
    place = await reportPlace();
    const { rungs, test: scored } = place.data;
    const unscored = { id: 'icl', rung: 'icl', code: 'PROMPT_TOO_LONG', message: 'too | long' } as const;
    data = {
      ...place.data,
      rungs: [...rungs.slice(0, 2), FAILED, CUT_OFF],
      test: {
        ...scored,
        candidates: scored.candidates.filter(({ rung }) => rung !== 'icl'),
        failed: [unscored],
      },
    };
  });
  after(() => place.close());

  test('HTML and Markdown name them, their codes and messages', async () => {
    const page = renderHtml(data, await renderCharts(data));
    const text = renderMarkdown(data);
    for (const shown of [page, text.replaceAll('\\', '')]) {
      assert.match(shown, /failed: TRAINING_OUT_OF_MEMORY/);
      assert.match(shown, /cut off: no tokens left/);
      assert.match(shown, /peft failed \(TRAINING_OUT_OF_MEMORY\) and was not measured/);
      assert.match(shown, /icl could not be scored on the test rows \(PROMPT_TOO_LONG\)/);
      assert.match(shown, /would need 9 GB/);
      assert.match(shown, /too (\||&#124;) long/);
    }
    assert.doesNotMatch(page, /<b>training/);
    assert.ok(text.includes('\\<b\\>training'));
    assert.match(page, /Few-shot prompting \(ICL\)/);
  });

  test('the terminal reports them line by line, in the table and in JSON', () => {
    assert.equal(recordText(FAILED), `peft: failed. TRAINING_OUT_OF_MEMORY: ${MESSAGE}`);
    assert.match(recordText(CUT_OFF), /^full: cut off\. The budget of tokens ran out/);
    const outcome = { ...data, report: {} } as unknown as AdaptationOutcome;
    assert.match(renderOutcome(outcome), /peft +failed +TRAINING_OUT_OF_MEMORY +12 s/);
    assert.match(renderOutcome(outcome), /full +cut off +budget of tokens +7 s/);
    assert.match(renderOutcome(outcome), /icl +failed +PROMPT_TOO_LONG/);
    const extra = { reportPath: 'r', setUpSeconds: 0, runSeconds: 0 };
    const json = JSON.parse(outcomeJson(outcome, extra)) as {
      rungs: { outcome: string; code?: string; by?: string }[];
      test: { failed: unknown[] };
    };
    assert.deepEqual(
      json.rungs.map(({ outcome: how, code, by }) => [how, code ?? by]),
      [
        ['measured', undefined],
        ['measured', undefined],
        ['failed', 'TRAINING_OUT_OF_MEMORY'],
        ['cut-off', 'tokens'],
      ],
    );
    assert.deepEqual(json.test.failed, [{ rung: 'icl', code: 'PROMPT_TOO_LONG', message: 'too | long' }]);
  });

  test('a budget that ran out is called by its name', () => {
    const exhausted = (rungs: ReportData['rungs'], path: ReportData['path']) =>
      headline({ ...data, rungs, path, decision: { ...data.decision, verdict: 'budget-exhausted' } });
    const meaning = (...given: Parameters<typeof exhausted>) => exhausted(...given).meaning;
    assert.equal(exhausted([CUT_OFF], []).advice, 'The budget ran out: peft is the best found.');
    assert.match(meaning([CUT_OFF], []), /budget of tokens ran out/);
    assert.match(meaning([{ ...CUT_OFF, by: 'seconds' }], []), /budget of time ran out/);
    assert.match(meaning([], [refusal('tokens')]), /budget of tokens ran out/);
    assert.match(meaning([], [refusal('seconds')]), /budget of time ran out/);
  });

  test('a rung that the tokens do not cover was not refused for lack of seconds', () => {
    const why = (...short: ('seconds' | 'tokens')[]) => {
      const plan = { ...data.plan, rungs: data.plan.rungs.filter(({ id }) => id === 'peft') };
      return skippedRungs({ ...plan, flowchart: STANDARD_FLOWCHART }, [refusal(...short)], []);
    };
    assert.deepEqual(why('tokens'), [
      {
        rung: 'peft',
        why: 'not-affordable',
        reason: 'The budget did not cover it: 40 tokens were left, about 9000 tokens are needed.',
      },
    ]);
    assert.match(why('seconds')[0]?.reason ?? '', /: 40 s were left, about 9000 s are needed\.$/);
    assert.match(why('seconds', 'tokens')[0]?.reason ?? '', / s are needed; 40 tokens were left/);
    const gate = {
      node: 'gate',
      title: 'Run the peft rung?',
      answer: 'rejected',
      comparisons: [],
    } as const;
    const nodes = {
      ...STANDARD_FLOWCHART.nodes,
      gate: { form: 'approve', title: gate.title, next: 'try-peft', rejected: 'peft-enough' },
    } as const;
    const plan = { ...data.plan, flowchart: { ...STANDARD_FLOWCHART, nodes } };
    const refused = skippedRungs(plan, [gate], data.rungs.slice(0, 2)).find(({ rung }) => rung === 'peft');
    assert.equal(refused?.why, 'not-approved');
  });
});

/** The question of the standard chart whether the budget covers peft, answered with no. */
function refusal(...short: ('seconds' | 'tokens')[]): PathStep {
  const compared = (unit: 'seconds' | 'tokens'): Compared => ({
    fact: `budget.${unit}Left`,
    op: '>=',
    value: { fact: `rungs.peft.estimate${unit === 'seconds' ? 'Seconds' : 'Tokens'}` },
    left: short.includes(unit) ? 40 : 35_990,
    right: short.includes(unit) ? 9000 : 120,
    holds: !short.includes(unit),
  });
  return {
    node: 'peft-affordable',
    title: 'Does the budget cover peft?',
    answer: 'no',
    comparisons: [compared('seconds'), compared('tokens')],
  };
}
