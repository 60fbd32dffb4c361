import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONTINUE_AT_BYTES, CONTINUE_AT_EVENTS, MAX_HISTORY_BYTES } from '../../schemas/plan/constants.ts';
import { isLong } from '../../workflows/shared/continuation.ts';

const short = { continueAsNewSuggested: false, historyLength: CONTINUE_AT_EVENTS - 1, historySize: 1000 };

test('a history is long when the server says so, or from a number of events or bytes on', () => {
  const longWith = (changes: Partial<typeof short>): boolean =>
    isLong({ ...short, ...changes } as Parameters<typeof isLong>[0] & object);
  assert.equal(longWith({}), false);
  assert.equal(longWith({ continueAsNewSuggested: true }), true);
  assert.equal(longWith({ historyLength: CONTINUE_AT_EVENTS }), true);
  assert.equal(longWith({ historySize: CONTINUE_AT_BYTES }), true);
  assert.equal(longWith({ historySize: CONTINUE_AT_BYTES - 1 }), false);
  assert.ok(CONTINUE_AT_BYTES < MAX_HISTORY_BYTES, 'well before a run is refused further steps');
});
