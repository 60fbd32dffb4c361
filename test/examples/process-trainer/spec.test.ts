import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compileSpec } from '../../../core/compile/compile-spec.ts';
import { readProjectConfig } from '../../../runtime/project-config.ts';
import { processTrainerOptionsSchema } from '../../../plugins/process-trainer/index.ts';
import { loadHost } from '../../../plugins.ts';

const folder = new URL('../../../examples/process-trainer/', import.meta.url);

test('the configuration brings the trainer that the spec names, and the spec compiles', async (context) => {
  process.env['ESCADA_CONFIG'] = fileURLToPath(new URL('escada.json', folder));
  context.after(() => delete process.env['ESCADA_CONFIG']);
  const host = await loadHost();
  const spec = JSON.parse(await readFile(new URL('spec.json', folder), 'utf8')) as {
    rungs: { peft: { trainer: string } };
  };
  assert.ok(host.registry.trainers.has(spec.rungs.peft.trainer));
  compileSpec(spec, host);
  await host.close();
  const { trainers } = processTrainerOptionsSchema.parse(readProjectConfig().options['process-trainer']);
  assert.ok(existsSync(trainers[0]?.command[1] ?? ''), `${trainers[0]?.command.join(' ')}`);
});
