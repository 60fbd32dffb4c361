import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { suite, test } from 'node:test';
import { takeRunning, whileRunning } from '../../activities/running.ts';
import { startLoopWatchdog } from '../../worker/loop-watchdog.ts';

/** Holds up the event loop. */
const block = (ms: number): unknown => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

/** Waits until `done`, however busy the machine is. */
async function until(done: () => boolean): Promise<void> {
  for (let tries = 0; tries < 200 && !done(); tries += 1) await pause(50);
}

suite('watchdog of the event loop', () => {
  test('a block is reported once in a while, with what was running or has just ended', async () => {
    const warnings: string[] = [];
    takeRunning();
    const stop = startLoopWatchdog({
      warn: (message) => warnings.push(message),
      lagMs: 500,
      lookMs: 50,
      quietMs: 3_600_000,
    });
    await pause(100);
    await whileRunning('peft/train (train.adapter@1)', () =>
      whileRunning('rag/index (retrieve.index@1)', async () => {
        block(1100);
        await Promise.resolve();
      }),
    );
    await until(() => warnings.length > 0);
    block(1100);
    await pause(300);
    stop();
    assert.equal(warnings.length, 1, warnings.join('\n'));
    assert.match(warnings[0] ?? '', /was blocked for \d+\.\d s.*peft\/train \(train\.adapter@1\)/);
    assert.match(warnings[0] ?? '', /rag\/index \(retrieve\.index@1\) \(just ended\)/);
  });

  test('an event loop that turns is nobody’s affair', async () => {
    const warnings: string[] = [];
    const stop = startLoopWatchdog({ warn: (message) => warnings.push(message), lagMs: 60_000, lookMs: 20 });
    await pause(200);
    stop();
    assert.deepEqual(warnings, []);
  });
});
