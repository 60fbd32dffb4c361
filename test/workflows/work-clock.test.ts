import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { WorkClock } from '../../workflows/adapt/work-clock.ts';

test('the clock stops while anyone is waited for; waits at once are one', () => {
  mock.timers.enable({ apis: ['Date'] });
  try {
    const pass = (seconds: number): void => mock.timers.tick(seconds * 1000);
    const clock = new WorkClock();
    pass(3);
    assert.equal(clock.seconds, 3);
    clock.waiting = true;
    pass(10);
    assert.deepEqual([clock.seconds, clock.waiting], [3, true]);
    // A second wait begins, the first one ends: still one wait.
    clock.waiting = true;
    pass(3600);
    clock.waiting = true;
    pass(3600);
    clock.waiting = false;
    assert.deepEqual([clock.seconds, clock.waiting], [3, false]);
    pass(2);
    clock.waiting = false;
    pass(2);
    assert.equal(clock.seconds, 7);
    clock.waiting = true;
    pass(1);
    clock.waiting = false;
    assert.equal(clock.seconds, 7);
    // In the run that continues this one, which begins while nobody is waited for.
    const next = new WorkClock(clock.reading);
    assert.equal(next.seconds, 7);
    pass(2);
    assert.deepEqual([next.seconds, clock.seconds], [9, 9]);
  } finally {
    mock.timers.reset();
  }
});
