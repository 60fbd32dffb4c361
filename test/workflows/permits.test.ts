import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Permits } from '../../workflows/shared/permits.ts';

test('serves waiters in the order they asked and never more than the permits', async () => {
  const permits = new Permits(2);
  const order: number[] = [];
  let running = 0;
  let most = 0;
  const work = Array.from({ length: 6 }, (_, index) =>
    permits.run(async () => {
      running += 1;
      most = Math.max(most, running);
      order.push(index);
      await Promise.resolve();
      running -= 1;
    }),
  );
  await Promise.all(work);
  assert.deepEqual(order, [0, 1, 2, 3, 4, 5]);
  assert.equal(most, 2);
});

test('a failure gives its permit back', async () => {
  const permits = new Permits(1);
  await assert.rejects(
    permits.run(() => Promise.reject(new Error('boom'))),
    /boom/,
  );
  assert.equal(await permits.run(() => Promise.resolve('next')), 'next');
});
