import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordCostHead, recordCosts } from '../../../core/report/decision-records.ts';
import { costOf } from '../../../core/decide/judge-rung.ts';
import type { Usage } from '../../../schemas/outcome/usage.ts';
import type { DecisionRecord } from '../../../schemas/outcome/decision.ts';

const USAGE: Usage = {
  promptTokens: 40,
  completionTokens: 8,
  trainingTokens: 0,
  seconds: 2,
  peakMemoryBytes: null,
};

const recordOf = (candidateId: string, dev: Usage, training?: Usage): DecisionRecord =>
  ({
    outcome: 'measured',
    candidateId,
    cost: costOf({
      dev: { n: 4, usage: dev } as never,
      training: training === undefined ? null : ({ usage: training } as never),
    }),
  }) as DecisionRecord;

test('money that providers charge is in the cost of a candidate, that of its training too', () => {
  const cost = costOf({
    dev: { n: 4, usage: { ...USAGE, costUsd: 0.25 } } as never,
    training: { usage: { ...USAGE, costUsd: 1.5 } } as never,
  });
  assert.equal(cost.costUsd, 1.75);
  assert.equal('costUsd' in costOf({ dev: { n: 4, usage: USAGE } as never, training: null }), false);
});

test('the table of costs has a column for money only where a provider charges it', () => {
  const free = recordOf('local', USAGE);
  assert.equal(recordCostHead([free]).includes('cost'), false);
  assert.equal(recordCosts([free])[0]?.length, recordCostHead([free]).length);
  const records = [free, recordOf('hosted', { ...USAGE, costUsd: 0.0123 }, { ...USAGE, costUsd: 2 })];
  assert.equal(recordCostHead(records).at(-1), 'cost');
  assert.deepEqual(
    recordCosts(records).map((cells) => cells.at(-1)),
    ['–', '$2.01'],
  );
  assert.equal(recordCosts([recordOf('cheap', { ...USAGE, costUsd: 0.0123 })])[0]?.at(-1), '$0.012');
});
