import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import type { WorkerOptions } from '@temporalio/worker';
import { EscadaPlugin, type EscadaPluginOptions } from '../../plugin.ts';
import type { ErrorCode } from '../../schemas/errors/error-codes.ts';
import { WORKFLOWS_PATH } from '../../worker/roles.ts';

const settings = { home: join(tmpdir(), 'escada-plugin-test') };
const make = async (options: EscadaPluginOptions = {}) => await EscadaPlugin.load({ settings, ...options });

const HOST: WorkerOptions = { taskQueue: 'theirs', activities: { greet: async () => 'Hello' } };
const CONTROL = [
  'compilePipelineSpec',
  'compileSpec',
  'compileTrainSpec',
  'decide',
  'judgeRung',
  'keepText',
  'openApproval',
  'readText',
  'writeReport',
];

const namesOf = ({ activities = {} }: WorkerOptions) => Object.keys(activities).sort();

function refuses(work: () => unknown, code: ErrorCode, message: RegExp): void {
  assert.throws(work, { code, message });
}

suite('EscadaPlugin', () => {
  test("adds its activities to the host's and brings the workflows where there are none", async () => {
    const configured = (await make()).configureWorker(HOST);
    assert.deepEqual(namesOf(configured), [...CONTROL, 'greet'].sort());
    assert.equal(configured.taskQueue, 'theirs');
    assert.equal(configured.workflowsPath, WORKFLOWS_PATH);
  });

  test("leaves the host's workflows and its prebuilt bundle alone", async () => {
    const own = (await make()).configureWorker({ ...HOST, workflowsPath: '/theirs/workflows.ts' });
    assert.equal(own.workflowsPath, '/theirs/workflows.ts');
    const workflowBundle = { codePath: '/theirs/bundle.js' };
    const bundled = (await make()).configureWorker({ ...HOST, workflowBundle });
    assert.equal(bundled.workflowsPath, undefined);
    assert.equal(bundled.workflowBundle, workflowBundle);
  });

  test("without the role control the host's own Worker stays as it is", async () => {
    const configured = (await make({ roles: ['cpu', 'gpu'] })).configureWorker(HOST);
    assert.deepEqual(namesOf(configured), ['greet']);
    assert.equal(configured.workflowsPath, undefined);
  });

  test('gives the workflows to a bundler that has none', async () => {
    assert.equal(
      (await make()).configureBundler({ workflowsPath: '/theirs.ts' }).workflowsPath,
      '/theirs.ts',
    );
  });

  test('a second Worker, or the connection beside the Worker, is refused', async () => {
    const plugin = await make();
    plugin.configureWorker(HOST);
    refuses(() => plugin.configureWorker(HOST), 'WORKER_PLUGIN_REUSED', /an EscadaPlugin for each Worker/);
  });

  test("a host's activity of the same name is refused, not replaced", async () => {
    const activities = { decide: async () => 'theirs', greet: async () => 'Hello' };
    const plugin = await make();
    const work = () => plugin.configureWorker({ ...HOST, activities });
    refuses(work, 'ACTIVITY_NAME_TAKEN', /: decide\. Rename/);
  });

  test('roles that are none are refused by name', async () => {
    const code = 'PLUGIN_OPTIONS_INVALID';
    await assert.rejects(make({ roles: [] }), { code, message: /"roles": it is empty/ });
    const unknown = ['cpu', 'tpu'] as unknown as EscadaPluginOptions['roles'];
    await assert.rejects(make({ roles: unknown }), { code, message: /no tpu. Use one or more of control/ });
  });
});
