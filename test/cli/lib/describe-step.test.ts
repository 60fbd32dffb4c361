import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeStep } from '../../../cli/lib/follow.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';

const training = {
  kind: 'train',
  step: 3,
  totalSteps: 80,
  lossNats: 1.25,
  tokensPerSecond: 431.6,
  etaSeconds: 29.6,
};

function line(details: JsonObject, attempt = 1, id = 'peft'): string {
  return describeStep({ id, kind: 'train.lora', attempt, details, lastFailure: null });
}

test('a training: loss, speed, time left, memory where the trainer reports it, the newest warning', () => {
  assert.equal(line(training), 'peft: step 3/80, loss 1.250, 432 tokens/s, 30 s left');
  assert.match(line({ ...training, lossNats: null }, 2), /^peft \(attempt 2\): .*, loss not finite,/);
  const memory = { ...training, rssBytes: 435_400_000 };
  assert.match(line(memory), /30 s left, 435 MB$/);
  assert.match(line({ ...memory, plannedPeakBytes: 1_844_000_000 }), /, 435 MB \(planned peak 1,844\)$/);
  const warnings = [{ message: 'step 1: loss 9' }, { message: 'step 2: loss 12' }];
  assert.match(line({ ...memory, warnings, warningCount: 5 }), /435 MB, 5 warnings: step 2: loss 12$/);
});

test('answers, and steps that report nothing', () => {
  const generate = { kind: 'generate', done: 4, total: 32, tokensPerSecond: 99.5 };
  assert.equal(line(generate, 1, '7'), 'train.lora: 4/32 rows, 100 tokens/s');
  assert.equal(line({}), 'peft');
});
