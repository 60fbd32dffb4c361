import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MetricFactoryV1 } from '../../../plugins/sdk/contracts/metric.ts';
import { createPluginHost } from '../../../plugins/host/host.ts';
import { metricsPlugin } from '../../../plugins/metrics/index.ts';
import { containsMetric } from '../../../plugins/metrics/worker/contains.ts';
import { exactMatchMetric } from '../../../plugins/metrics/worker/exact-match.ts';
import { tokenF1Metric } from '../../../plugins/metrics/worker/token-f1.ts';
import { voiceRulesMetric } from '../../../plugins/metrics/worker/voice-rules.ts';
import { issuesOf, parseValue } from '../../../plugins/sdk/schema-check/check-value.ts';

type Pair = readonly [prediction: string, reference: string];

/** Score of a corpus by the metric's own sums. */
function score(factory: MetricFactoryV1, options: unknown, pairs: readonly Pair[]): number {
  const metric = factory.create(parseValue(factory.optionsSchema, options));
  const rows = pairs.map(([prediction, reference]) => metric.doRow({ input: '', prediction, reference }));
  const sums = (rows[0] ?? []).map((_, at) => rows.reduce((sum, row) => sum + (row[at] ?? 0), 0));
  return metric.doAggregate(sums);
}

test('the plugin registers every metric of its contract', async () => {
  const host = createPluginHost([{ plugin: metricsPlugin }]);
  assert.deepEqual(host.registry.metrics.names(), [
    'chrf',
    'contains',
    'exact-match',
    'token-f1',
    'voice-rules',
  ]);
  await host.close();
});

test('exact match forgives white space and, if asked, case', () => {
  const pairs: Pair[] = [
    [' positive\n', 'positive'],
    ['Positive', 'positive'],
    ['e\u0301', 'é'],
    ['', ''],
  ];
  assert.equal(score(exactMatchMetric, {}, pairs), 0.75);
  assert.equal(score(exactMatchMetric, { ignoreCase: true }, pairs), 1);
});

test('token F1 counts words as multisets', () => {
  assert.equal(score(tokenF1Metric, {}, [['The cat, sat.', 'the cat sat']]), 1);
  assert.equal(score(tokenF1Metric, {}, [['a a b', 'a b b']]), 4 / 6);
  assert.equal(score(tokenF1Metric, {}, [['', '']]), 1);
  assert.equal(score(tokenF1Metric, {}, [['', 'a']]), 0);
  assert.equal(score(tokenF1Metric, {}, [['नमस्ते दुनिया', 'नमस्ते']]), 2 / 3);
});

test('contains asks for whole words by default', () => {
  assert.equal(score(containsMetric, {}, [['It holds 12 cups.', '12']]), 1);
  assert.equal(score(containsMetric, {}, [['It holds 120 cups.', '12']]), 0);
  assert.equal(score(containsMetric, {}, [['120 or 12', '12']]), 1);
  assert.equal(score(containsMetric, { wholeWords: false }, [['It holds 120 cups.', '12']]), 1);
  assert.equal(score(containsMetric, {}, [['$19.90!', '$19.90']]), 1);
  assert.equal(score(containsMetric, { ignoreCase: false }, [['rome', 'Rome']]), 0);
  assert.equal(score(containsMetric, {}, [['anything', '']]), 0);
});

test('voice rules count the answers that keep all of them', () => {
  const rules = [
    { name: 'ends', pattern: '\\.$' },
    { name: 'calm', pattern: '!', expect: 'avoid' },
  ];
  const pairs: Pair[] = [
    ['Soft wool. ', ''],
    ['Soft wool!.', ''],
    ['Soft wool', ''],
  ];
  assert.equal(score(voiceRulesMetric, { rules }, pairs), 1 / 3);
  const metric = voiceRulesMetric.create(parseValue(voiceRulesMetric.optionsSchema, { rules }));
  assert.deepEqual(metric.doRow({ input: '', prediction: 'No!', reference: '' }), [1, 0, 0, 0]);
});

test('voice rules that cannot be compiled are refused with the reason', () => {
  const parse = (rules: unknown) => issuesOf(voiceRulesMetric.optionsSchema, { rules });
  assert.match(parse([{ name: 'x', pattern: '(' }])[0]?.message ?? '', /Invalid regular expression/);
  assert.equal(parse([]).length, 1);
  assert.equal(
    parse([
      { name: 'x', pattern: 'a' },
      { name: 'x', pattern: 'b' },
    ]).length,
    1,
  );
  assert.equal(parse([{ name: 'x', pattern: 'a', flags: 'g' }]).length, 1);
});
