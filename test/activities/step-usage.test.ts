import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stepUsage } from '../../activities/step-usage.ts';

test('what a step used is counted once: not where another step hands it on', () => {
  const usage = {
    promptTokens: 4,
    completionTokens: 2,
    trainingTokens: 0,
    seconds: 1,
    peakMemoryBytes: null,
  };
  assert.deepEqual(stepUsage({}, { usage }), usage);
  assert.equal(stepUsage({ usage }, { usage }), null);
  assert.equal(stepUsage({}, { rows: 1 }), null);
});
