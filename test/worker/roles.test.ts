import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createProjectHost } from '../../plugins.ts';
import { readSettings } from '../../runtime/settings.ts';
import { ROLES } from '../../schemas/plan/queues.ts';
import { parseRoles } from '../../worker.ts';
import { activityDeps, roleOptions } from '../../worker/roles.ts';

test('every role has a queue of its own, and every step queue takes every kind', async () => {
  const host = createProjectHost();
  const home = await mkdtemp(join(tmpdir(), 'escada-roles-'));
  const settings = readSettings({ ESCADA_HOME: home, ESCADA_TASK_QUEUE: 'q', ESCADA_IO_CONCURRENCY: '32' });
  const deps = activityDeps(host, settings);
  const all = ROLES.map((role) => roleOptions(role, settings, deps));
  assert.deepEqual(
    all.map((one) => [one.taskQueue, one.maxConcurrentActivityTaskExecutions]),
    [
      ['q', undefined],
      ['q-cpu', 4],
      ['q-gpu', 1],
      ['q-io', 32],
    ],
  );
  const [control, ...steps] = all;
  assert.ok(control?.workflowsPath !== undefined);
  for (const { activities, workflowsPath } of steps) {
    assert.equal(workflowsPath, undefined);
    assert.deepEqual(Object.keys(activities ?? {}).sort(), host.registry.stepKinds.names());
  }
  await host.close();
});

test('roles are named in any order, several at once; none means all', () => {
  assert.deepEqual(parseRoles([]), ROLES);
  assert.deepEqual(parseRoles(['all']), ROLES);
  assert.deepEqual(parseRoles(['io', 'cpu']), ['cpu', 'io']);
  assert.equal(parseRoles(['io', 'tpu']), 'tpu');
});
