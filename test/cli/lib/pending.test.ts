import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultPayloadConverter } from '@temporalio/common';
import { describeStep } from '../../../cli/lib/follow.ts';
import { stepOf } from '../../../cli/lib/pending.ts';

const heard = (details: unknown) => ({
  activityId: '7',
  activityType: { name: 'judgeRung' },
  heartbeatDetails: { payloads: [defaultPayloadConverter.toPayload(details)] },
});

test('a heartbeat may carry nothing, or anything: the step is shown by its name', () => {
  for (const details of [undefined, null, 7, 'text', [1]])
    assert.equal(describeStep(stepOf(heard(details))), 'judgeRung');
  assert.equal(describeStep(stepOf({ activityType: { name: 'decide' }, activityId: '8' })), 'decide');
});

test('what a step reports is kept', () => {
  const details = { kind: 'generate', done: 3, total: 9, tokensPerSecond: 10 };
  assert.deepEqual(stepOf(heard(details)).details, details);
});
