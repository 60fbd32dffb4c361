import assert from 'node:assert/strict';
import { test } from 'node:test';
import { progressLines } from '../../../cli/lib/progress-lines.ts';

test('an adaptation: phase, rung and finished steps', () => {
  const finished = [
    { node: 'curate/read', seconds: 0.12, cached: false },
    { node: 'peft/train', seconds: 61, cached: true },
  ];
  const ladder = { phase: 'ladder', rung: 'peft', running: [], finished, approvals: [] } as const;
  const lines = progressLines({ ...ladder, secondsElapsed: 62, budgetSeconds: 100 });
  assert.equal(lines[0], 'phase ladder, rung peft');
  assert.match(lines[1] ?? '', /^ {2}done {3}curate\/read +0\.1 s$/);
  assert.match(lines[2] ?? '', /^ {2}cached peft\/train +61\.0 s$/);
  assert.equal(lines.length, 3);
});

test('a training: phase, and its failed attempts if there are any', () => {
  assert.deepEqual(progressLines({ phase: 'train', failedAttempts: 0, lastFailure: '' }), ['phase train']);
  assert.deepEqual(progressLines({ phase: 'train', failedAttempts: 2, lastFailure: 'killed' }), [
    'phase train, failed attempts 2',
    '  last failure: killed',
  ]);
});
