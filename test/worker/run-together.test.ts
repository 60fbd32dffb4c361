import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { inTurn } from '../../worker/device-turn.ts';
import { runTogether, type Runner } from '../../worker/run-together.ts';

/** Runs until it is stopped, then says so, or until `fail` is called. */
function runner(name: string, said: string[]) {
  let settle: { resolve: () => void; reject: (error: Error) => void } | undefined;
  const one: Runner & { fail(message: string): void; readonly started: () => boolean } = {
    run: async () => {
      await new Promise<void>((resolve, reject) => (settle = { resolve, reject }));
      said.push(`${name} ended`);
    },
    stop: () => settle?.resolve(),
    fail: (message) => settle?.reject(new Error(message)),
    started: () => settle !== undefined,
  };
  return one;
}

const tick = async () => await new Promise((resolve) => setTimeout(resolve, 5));

async function untilStarted(one: { readonly started: () => boolean }): Promise<void> {
  while (!one.started()) await tick();
}

suite('workers side by side', () => {
  test('one that fails stops the others in order, and its failure is what is thrown', async () => {
    const said: string[] = [];
    const [a, b, c] = [runner('a', said), runner('b', said), runner('c', said)];
    const running = runTogether([a, b, c]);
    b.fail('no permission for queue b');
    await assert.rejects(running, /^Error: no permission for queue b$/);
    assert.deepEqual(said, ['a ended', 'c ended']);
  });

  test('one that ends by itself ends all, without a failure', async () => {
    const said: string[] = [];
    const [a, b] = [runner('a', said), runner('b', said)];
    const running = runTogether([a, b]);
    a.stop();
    await running;
    assert.deepEqual(said.sort(), ['a ended', 'b ended']);
  });

  test('one worker of a home at a time has the device; the next has it when that one ends', async () => {
    const home = await mkdtemp(join(tmpdir(), 'escada-turn-'));
    const said: string[] = [];
    const [first, second, third] = [runner('first', said), runner('second', said), runner('third', said)];
    const turns = [first, second, third].map((one) => inTurn(home, () => Promise.resolve(one)));
    const [one, two, three] = turns as [Runner, Runner, Runner];
    const running = one.run();
    await untilStarted(first);
    const waiting = two.run();
    const leaving = three.run();
    three.stop();
    await leaving;
    assert.deepEqual([second.started(), third.started()], [false, false]);
    one.stop();
    await running;
    await untilStarted(second);
    two.stop();
    await waiting;
    assert.deepEqual(said, ['first ended', 'second ended']);
    await rm(home, { recursive: true });
  });
});
