import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pluginLines } from '../../../cli/lib/plugin-lines.ts';
import { createProjectHost } from '../../../plugins.ts';

test('plugins are listed with version, entry and what they bring; built-in ones by numbers', async () => {
  const host = createProjectHost();
  const shared = { apiVersion: 1, version: '1.4.0', origin: '/p/escada.config.json, plugins[0]: x' };
  const brings = [
    { kind: 'rung', names: ['nearest'] },
    { kind: 'step kind', names: ['a@1', 'b@2'] },
  ];
  const lines = pluginLines([
    ...host.plugins,
    { name: 'x', ...shared, brings },
    { name: 'y', ...shared, brings: [] },
  ]);
  await host.close();
  const [count, ...others] = lines.split('\n    ');
  assert.equal(count, '7 built in, 2 listed in the configuration file');
  assert.match(lines, /^ +rungs \d+\.\d+\.\d+ \(built in\): 4 rungs$/m);
  assert.deepEqual(others.slice(-2), [
    'x 1.4.0 (/p/escada.config.json, plugins[0]: x): rung nearest; step kind a@1, b@2',
    'y 1.4.0 (/p/escada.config.json, plugins[0]: x): nothing',
  ]);
});
