import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { chrfMetric } from '../../../plugins/metrics/worker/chrf.ts';
import { checkValue, parseValue } from '../../../plugins/sdk/schema-check/check-value.ts';

interface Golden {
  readonly signature: string;
  readonly rows: readonly {
    readonly prediction: string;
    readonly reference: string;
    readonly score: number;
  }[];
  readonly corpora: readonly { readonly from: number; readonly to: number; readonly score: number }[];
}

const golden = JSON.parse(
  readFileSync(new URL('../../fixtures/chrf/golden.json', import.meta.url), 'utf8'),
) as Golden;
const chrf = chrfMetric.create(parseValue(chrfMetric.optionsSchema, {}));

// The counts are equal integers and the formula runs in the same order; only the final factor of 100 may round.
const TOLERANCE = 1e-12;

function statisticsOf(row: { readonly prediction: string; readonly reference: string }): readonly number[] {
  return chrf.doRow({ input: '', ...row });
}

test(`every sentence score equals sacrebleu's (${golden.rows.length} pairs)`, () => {
  for (const row of golden.rows) {
    const score = chrf.doAggregate(statisticsOf(row));
    assert.ok(Math.abs(score - row.score / 100) < TOLERANCE, `${JSON.stringify(row)} gave ${score * 100}`);
  }
});

test("every corpus score equals sacrebleu's", () => {
  for (const { from, to, score } of golden.corpora) {
    const sums = new Array<number>(18).fill(0);
    for (const row of golden.rows.slice(from, to)) {
      statisticsOf(row).forEach((value, at) => (sums[at] = (sums[at] ?? 0) + value));
    }
    assert.ok(Math.abs(chrf.doAggregate(sums) - score / 100) < TOLERANCE, `rows ${from} to ${to}`);
  }
});

test('unknown options are refused', () => {
  assert.equal(checkValue(chrfMetric.optionsSchema, { beta: 3 }).success, false);
});
