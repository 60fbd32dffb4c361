import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { LogRing } from '../../../../plugins/sdk/process/log-ring.ts';

suite('LogRing', () => {
  test('keeps the newest lines', () => {
    const ring = new LogRing({ maxLines: 2 });
    for (const line of ['a', 'b', 'c']) ring.add(line);
    assert.deepEqual(ring.last(9), ['b', 'c']);
    assert.deepEqual(ring.last(1), ['c']);
  });

  test('keeps within its characters, and the end of an over-long line', () => {
    const ring = new LogRing({ maxChars: 10 });
    ring.add('12345678');
    ring.add('abc');
    assert.deepEqual(ring.last(9), ['abc']);
    ring.add(`${'x'.repeat(100)}the cause`);
    assert.deepEqual(ring.last(9), ['xthe cause']);
  });
});
