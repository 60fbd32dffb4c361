import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { suite, test } from 'node:test';
import type { MetricV1, NamedMetricRow } from '../../../plugins/sdk/contracts/metric.ts';
import { createPluginHost } from '../../../plugins/host/host.ts';
import { metricsPlugin } from '../../../plugins/metrics/index.ts';

const QUICK = createPluginHost([{ plugin: metricsPlugin, options: { rowTimeoutMs: 500 } }]).registry;
const PATIENT = createPluginHost([{ plugin: metricsPlugin }]).registry;
const never = new AbortController().signal;

const rowsOf = (...predictions: string[]): NamedMetricRow[] =>
  predictions.map((prediction, at) => ({ id: `r${at}`, input: '', prediction, reference: 'a b c' }));

function rules(registry: typeof QUICK, ...patterns: string[]): MetricV1 {
  const named = patterns.map((pattern, at) => ({ name: `rule-${at}`, pattern }));
  return registry.metric({ id: 'voice-rules', with: { rules: named } });
}

async function score(metric: MetricV1, rows: readonly NamedMetricRow[], signal = never) {
  assert.ok(metric.doRows !== undefined);
  return await metric.doRows(rows, { signal, onProgress: () => undefined });
}

suite('many rows', () => {
  test('score as each by itself, whether they are few or megabytes', async () => {
    const few = rowsOf('a b', 'c', '');
    const many = Array.from({ length: 700 }, (_, at) => ({
      id: `r${at}`,
      input: '',
      prediction: `answer ${at} `.repeat(30),
      reference: `answer ${at + 1} `.repeat(20),
    }));
    for (const id of ['chrf', 'contains', 'exact-match', 'token-f1']) {
      const metric = PATIENT.metric({ id, with: {} });
      for (const rows of [few, many]) {
        const alone = rows.map((row) => metric.doRow(row));
        assert.deepEqual(await score(metric, rows), alone, id);
      }
    }
    const voice = rules(PATIENT, 'a', 'b$');
    assert.deepEqual(
      await score(voice, few),
      few.map((row) => voice.doRow(row)),
    );
  });

  test('a pattern that never ends is ended, with rule and row named, while the event loop continues', async () => {
    for (const [pattern, answer] of [
      ['^(a+)+$', `${'a'.repeat(5000)}!`],
      ['^(\\w+\\s?)*$', `${'an ordinary answer of a few words '.repeat(4)}!`],
      ['(x+x+)+y', 'x'.repeat(300)],
    ] as const) {
      let turns = 0;
      let running = true;
      const scored = score(rules(QUICK, '.', pattern), rowsOf('fine', answer)).finally(
        () => (running = false),
      );
      scored.catch(() => undefined);
      while (running) {
        await nextTurn();
        turns += 1;
      }
      await assert.rejects(scored, {
        code: 'METRIC_FAILED',
        message: 'Metric voice-rules, rule "rule-1", row "r1": it takes more than 500 ms.',
      });
      assert.ok(turns > 10, `${turns} turns of the event loop`);
    }
  });

  test('a pattern that runs out of stack is a failure of the row, not of the thread', async () => {
    const deep = `^(?:${'()'.repeat(490)}a)*$`;
    await assert.rejects(score(rules(PATIENT, '.', deep), rowsOf('aaa', 'a'.repeat(20_000))), {
      code: 'METRIC_FAILED',
      message: /rule "rule-1", row "r1": RangeError: .*stack/,
    });
  });

  test('scoring stops when it is cancelled, with the reason', async () => {
    const cancelled = new AbortController();
    const reason = new Error('cancelled');
    setTimeout(() => cancelled.abort(reason), 300);
    const scored = score(rules(PATIENT, '^(a+)+$'), rowsOf(`${'a'.repeat(5000)}!`), cancelled.signal);
    await assert.rejects(scored, reason);
    await assert.rejects(score(rules(PATIENT, 'a'), rowsOf('a'), cancelled.signal), reason);
  });

  test('the time of a row is an option of the plugin', () => {
    const options = { rowTimeoutMs: 1 };
    assert.throws(() => createPluginHost([{ plugin: metricsPlugin, options }]), {
      code: 'PLUGIN_OPTIONS_INVALID',
      message: /rowTimeoutMs/,
    });
  });
});
