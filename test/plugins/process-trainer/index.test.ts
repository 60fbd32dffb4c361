import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { createPluginHost } from '../../../plugins/host/host.ts';
import { createProcessTrainerPlugin } from '../../../plugins/process-trainer/index.ts';

const register = (...trainers: object[]) =>
  createPluginHost([{ plugin: createProcessTrainerPlugin(), options: { trainers } }]);

const ONE = { id: 'one', command: ['python3', 'train.py'] };

suite('process-trainer plugin', () => {
  test('each command is a trainer of its id; no command is started by that', async () => {
    const host = register(ONE, { ...ONE, id: 'two' });
    assert.deepEqual(host.registry.trainers.names(), ['one', 'two']);
    await host.close();
    assert.deepEqual(
      createPluginHost([{ plugin: createProcessTrainerPlugin() }]).registry.trainers.names(),
      [],
    );
  });

  test('an id that is taken is refused', () => {
    assert.throws(() => register(ONE, ONE), { code: 'PLUGIN_DUPLICATE', message: /the trainer "one"/ });
  });

  const WRONG: Readonly<Record<string, object>> = {
    'trainers[0].id': { ...ONE, id: 'One' },
    'trainers[0].command': { ...ONE, command: [] },
    'trainers[0].command[0]': { ...ONE, command: [''] },
    'trainers[0].env.1X': { ...ONE, env: { '1X': 'a' } },
    'trainers[0].pipes': { ...ONE, pipes: 'tcp' },
    'trainers[0].stallMs': { ...ONE, stallMs: 0 },
    'trainers[0].graceMs': { ...ONE, graceMs: 60_000 },
    'trainers[0].shell': { ...ONE, shell: true },
  };
  for (const [field, trainer] of Object.entries(WRONG)) {
    test(`a wrong option is refused at registration: ${field}`, () => {
      assert.throws(
        () => register(trainer),
        ({ code, message }: { code: string; message: string }) => {
          assert.equal(code, 'PLUGIN_OPTIONS_INVALID');
          assert.ok(message.startsWith(`Options of plugin process-trainer: ${field}: `), message);
          return true;
        },
      );
    });
  }
});
