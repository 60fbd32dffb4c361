import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Closing } from '../../../cli/lib/closing.ts';

test('everything is closed, the last one first, though one fails', async () => {
  const [closing, closed, failed] = [new Closing(), [] as string[], [] as unknown[]];
  for (const name of ['server', 'client', 'worker'])
    await closing.add(async () => {
      closed.push(name);
      if (name === 'client') throw new Error(name);
      await Promise.resolve();
    });
  await closing.end((error) => failed.push((error as Error).message));
  assert.deepEqual([closed, failed], [['worker', 'client', 'server'], ['client']]);
});

test('what an interrupted command opens after its end is closed at once, and its work ends there', async () => {
  const [closing, closed] = [new Closing(), [] as string[]];
  let connected = (): void => undefined;
  const waiting = new Promise<void>((resolve) => (connected = resolve));
  const work = (async () => {
    await waiting;
    await closing.add(async () => void closed.push(await Promise.resolve('worker')));
    closed.push('never');
  })();
  await closing.end((error) => assert.fail(String(error)));
  connected();
  await assert.rejects(work, /has ended/);
  assert.deepEqual(closed, ['worker']);
});
