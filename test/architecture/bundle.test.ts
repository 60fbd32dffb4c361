import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DefaultLogger, bundleWorkflowCode } from '@temporalio/worker';
import { WORKFLOW_NAMES } from '../../schemas/plan/constants.ts';

const entry = fileURLToPath(new URL('../../workflows/index.ts', import.meta.url));

/** The workflows and the SDK take about 1.7 MB with source maps; validation libraries would add a megabyte each. */
const MAX_BUNDLE_BYTES = 2_200_000;

test("Temporal's own bundler takes the workflows, and nothing big or forbidden comes along", async () => {
  const logger = new DefaultLogger('WARN', () => undefined);
  const { code } = await bundleWorkflowCode({ workflowsPath: entry, logger });
  assert.ok(code.length < MAX_BUNDLE_BYTES, `${code.length} bytes`);
  for (const forbidden of [
    'node_modules/zod/',
    'node_modules/ajv/',
    'plugins/curation',
    'plugins/nf4-lora',
  ]) {
    assert.equal(code.includes(forbidden), false, `the bundle holds ${forbidden}`);
  }
});

test('every workflow name that a client may start is exported, and unknown ones have a default', async () => {
  const source = await readFile(entry, 'utf8');
  for (const name of WORKFLOW_NAMES) assert.match(source, new RegExp(`export \\{ ${name} \\}`));
  assert.match(source, /as default/);
  // Hosts that bundle Escada's workflows among their own get the same ones.
  const forHosts = await readFile(new URL('../../workflow.ts', import.meta.url), 'utf8');
  const [, names = ''] = /export \{ (.*) \} from '\.\/workflows\/index\.ts'/.exec(forHosts) ?? [];
  assert.deepEqual(names.split(', ').sort(), [...WORKFLOW_NAMES].sort());
});
