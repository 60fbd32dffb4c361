import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Permit } from '../../../../plugins/nf4-lora/worker/permit.ts';

suite('Permit', () => {
  test('is granted in the order of asking', async () => {
    const permit = new Permit();
    const order: number[] = [];
    const first = await permit.acquire();
    const rest = [1, 2, 3].map(async (number) => {
      const release = await permit.acquire();
      order.push(number);
      release();
    });
    assert.deepEqual(order, []);
    first();
    await Promise.all(rest);
    assert.deepEqual(order, [1, 2, 3]);
  });

  test('a waiter that gives up is skipped', async () => {
    const permit = new Permit();
    const release = await permit.acquire();
    const giveUp = new AbortController();
    const waiting = permit.acquire(giveUp.signal);
    const next = permit.acquire();
    giveUp.abort(new Error('enough'));
    await assert.rejects(waiting, /enough/);
    release();
    (await next)();
  });

  test('releasing twice frees it once', async () => {
    const permit = new Permit();
    const release = await permit.acquire();
    release();
    const second = await permit.acquire();
    release();
    let third = false;
    const waiting = permit.acquire().then((done) => {
      third = true;
      done();
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(third, false);
    second();
    await waiting;
  });

  test('an aborted signal is refused at once', async () => {
    await assert.rejects(new Permit().acquire(AbortSignal.abort(new Error('late'))), /late/);
  });
});
