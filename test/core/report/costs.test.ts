/** What candidates cost: on dev in the decision records, on test in the comparison of the finalists. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { costOf } from '../../../core/decide/judge-rung.ts';
import { costPoints } from '../../../core/report/costs.ts';
import { recordCostHead, recordCosts } from '../../../core/report/decision-records.ts';
import type { Score } from '../../../schemas/outcome/candidate.ts';
import type { CandidateCost, DecisionRecord, TestResult } from '../../../schemas/outcome/decision.ts';
import type { Usage } from '../../../schemas/outcome/usage.ts';

const ARTIFACT = { uri: 'artifact:sha256:a', sha256: 'a', sizeBytes: 1, mediaType: 'text/plain' } as never;

function usage(changes: Partial<Usage> = {}): Usage {
  return {
    ...{ promptTokens: 0, completionTokens: 0, trainingTokens: 0, seconds: 0, peakMemoryBytes: null },
    ...changes,
  };
}

function score(value: number, n: number, used: Partial<Usage>): Score {
  const parts = { statistics: ARTIFACT, secondary: [], predictions: ARTIFACT, usage: usage(used) };
  return { metric: 'chrf', value, low: value - 0.1, high: value + 0.1, n, ...parts };
}

suite('what a candidate costs', () => {
  const dev = score(0.5, 4, { promptTokens: 400, completionTokens: 40, seconds: 6, peakMemoryBytes: 2000 });

  test('is the answering of the dev rows, and its training', () => {
    const training = {
      artifact: ARTIFACT,
      usage: usage({ trainingTokens: 900, seconds: 60, peakMemoryBytes: 3000 }),
    };
    const answered = { promptTokens: 400, completionTokens: 40, secondsPerAnswer: 1.5 };
    assert.deepEqual(costOf({ dev, training: null }), {
      ...answered,
      ...{ trainingTokens: 0, peakMemoryBytes: 2000 },
    });
    assert.deepEqual(costOf({ dev, training }), {
      ...answered,
      ...{ trainingTokens: 900, peakMemoryBytes: 3000 },
    });
    const unknown = { ...training, usage: usage({ trainingTokens: 900 }) };
    assert.equal(costOf({ dev, training: unknown }).peakMemoryBytes, 2000);
  });

  test('has no memory where no provider says it, and no division by zero rows', () => {
    const bare = costOf({ dev: score(0, 0, { seconds: 2 }), training: null });
    assert.deepEqual([bare.peakMemoryBytes, bare.secondsPerAnswer], [null, 2]);
  });

  test('is a row for every rung that was measured', () => {
    const cost: CandidateCost = {
      ...{ promptTokens: 400, completionTokens: 40, trainingTokens: 900 },
      ...{ secondsPerAnswer: 0.0834, peakMemoryBytes: 3 * 2 ** 30 },
    };
    const record = {
      ...{ outcome: 'measured', rung: 'peft', candidateId: 'peft-r8', metric: 'chrf', reason: 'Why.' },
      ...{ value: 0.5, low: 0.4, high: 0.6, correctedLow: 0.38, n: 4, tried: 1, seconds: 9 },
      ...{ gain: null, diagnostics: [], skipped: [], cost },
    } as const satisfies DecisionRecord;
    const failed = {
      ...{
        outcome: 'failed',
        rung: 'rag',
        code: 'TRAINER_FAILED',
        message: 'why',
        seconds: 1,
        reason: 'Why.',
      },
    } as const satisfies DecisionRecord;
    const unknown = {
      ...record,
      candidateId: 'icl',
      cost: { ...cost, secondsPerAnswer: 2, peakMemoryBytes: null },
    };
    const records = [record, failed, unknown];
    const rows = recordCosts(records);
    assert.deepEqual(rows, [
      ['peft-r8', 400, 40, 900, '0.083', '3.0 GiB'],
      ['icl', 400, 40, 900, '2.00', '–'],
    ]);
    assert.ok(rows.every((cells) => cells.length === recordCostHead(records).length));
  });
});

suite('quality against cost', () => {
  const candidates = (
    [
      ['cheap', 0.4, { promptTokens: 100, completionTokens: 20, seconds: 1 }],
      ['slow', 0.6, { promptTokens: 200, completionTokens: 20, seconds: 9 }],
      ['long', 0.6, { promptTokens: 900, completionTokens: 20, seconds: 3 }],
      ['worse', 0.3, { promptTokens: 300, completionTokens: 20, seconds: 2 }],
    ] as const
  ).map(([rung, value, used]) => {
    const scored = score(value, 10, used);
    const { low, high, n } = scored;
    return { id: `${rung}-1`, rung, value, low, high, n, score: scored };
  });
  const result: TestResult = { metric: 'chrf', candidates, failed: [], comparisons: [] };

  test('is per answer, and marks what nothing beats in quality and in either cost', () => {
    const points = costPoints(result, 'long-1');
    assert.deepEqual(
      points.map((one) => [
        one.rung,
        one.secondsPerAnswer,
        one.promptTokensPerAnswer,
        one.bestForSeconds,
        one.bestForTokens,
      ]),
      [
        ['cheap', 0.1, 10, true, true],
        ['slow', 0.9, 20, false, true],
        ['long', 0.3, 90, true, false],
        ['worse', 0.2, 30, false, false],
      ],
    );
    assert.deepEqual(
      points.filter(({ winner }) => winner).map(({ rung }) => rung),
      ['long'],
    );
    assert.ok(points.every((one) => one.completionTokensPerAnswer === 2));
  });
});
