import assert from 'node:assert/strict';
import { copyFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import type { JsonObject } from '../../../schemas/common/json.ts';
import { compileSpec } from '../../../core/compile/compile-spec.ts';
import { createProjectHost } from '../../../plugins.ts';
import { GOOD_SPEC } from '../../fixtures/specs.ts';
import { Harness } from './harness.ts';
import { runStandard } from './run-standard.ts';
import type { Outputs } from './run-standard.ts';

const STEPS = [
  'read',
  'null-filter',
  'normalise',
  'normalise-output',
  'exact-dedupe',
  'near-dedupe',
  'token-filter',
];
const INPUTS = {
  model: { provider: 'testing', id: 'words' },
  task: { system: '', instruction: 'Describe it.' },
  maxPromptTokens: 60,
  maxAnswerTokens: 120,
  seed: 3,
};
const ROOT = join(import.meta.dirname, '../../..');

interface Sample {
  readonly row: number;
  readonly reason: string;
}

/** At every step, the rows that come in are those that go out and those that are dropped, with a reason. */
async function checkFunnel(harness: Harness, outputs: Outputs): Promise<Record<string, number>> {
  assert.deepEqual(Object.keys(outputs), [...STEPS, 'split']);
  let rows = Number(outputs['read']?.['rows']);
  const dropped: Record<string, number> = {};
  for (const name of STEPS) {
    const output = outputs[name] ?? {};
    dropped[name] = Number(output['dropped']);
    assert.equal(Number(output['rows']), rows - dropped[name], name);
    rows = Number(output['rows']);
    assert.equal((await harness.rows(output['dataset'])).length, rows, name);
    const samples = await harness.json<Sample[]>(output['droppedSamples']);
    assert.equal(samples.length, Math.min(5, dropped[name]), name);
    assert.ok(samples.every(({ reason }) => reason.length > 0));
  }
  const split = outputs['split'] as JsonObject;
  const sizes = split['rows'] as Record<string, number>;
  const used = Object.values(sizes).reduce((sum, size) => sum + size, 0);
  assert.equal(used + Number(split['unused']), rows);
  return dropped;
}

async function run(path: string, columns: JsonObject, sizes: JsonObject): Promise<[Harness, Outputs]> {
  const harness = await Harness.open();
  await copyFile(path, join(harness.folder, 'data.csv'));
  const inputs = { ...INPUTS, columns, sizes, source: { path: 'data.csv' } };
  return [harness, await runStandard(harness, inputs, 'thorough')];
}

suite('pipeline thorough', () => {
  test('a spec chooses it by name, and bad options of its steps are refused when it is compiled', () => {
    const host = createProjectHost();
    const withCuration = (curation: unknown) => ({ ...GOOD_SPEC, data: { ...GOOD_SPEC.data, curation } });
    const { curation } = compileSpec(withCuration('thorough'), host);
    assert.deepEqual(
      curation.nodes.map(({ id }) => id),
      [...STEPS, 'split'],
    );
    const bad: Record<string, JsonObject> = {
      'curate.near-dedupe@1': { threshold: 2 },
      'curate.normalise-output@1': { punctuation: 'some' },
      'curate.stratified-sample@1': { rows: 0 },
      'curate.balance@1': { method: 'up' },
      'curate.paraphrase@1': { copies: 100 },
    };
    for (const [uses, options] of Object.entries(bad)) {
      const given = { dataset: '${nodes.read.output.dataset}', model: '${inputs.model}', ...options };
      const { model, ...others } = given;
      const needs = uses.startsWith('curate.paraphrase') ? { model, ...others } : others;
      const own = {
        name: 'own',
        nodes: [
          ...host.registry.pipelines.get('thorough').nodes,
          { id: 'bad', form: 'step', uses, with: needs },
        ],
      };
      const field = Object.keys(options)[0] ?? '';
      assert.throws(() => compileSpec(withCuration(own), host), {
        code: 'INVALID_SPEC',
        message: new RegExp(`data\\.curation\\.nodes\\[8\\]\\.with\\.${field}:`),
      });
    }
  });

  test('finds what is planted in a small catalogue', async () => {
    const columns = { input: 'name', output: 'description', group: 'group', category: 'kind' };
    const file = join(ROOT, 'test/fixtures/curation/catalogue-small.csv');
    const [harness, outputs] = await run(file, columns, { train: 24, dev: 8, test: 8 });
    try {
      const dropped = await checkFunnel(harness, outputs);
      assert.deepEqual(dropped, {
        read: 0,
        'null-filter': 2,
        normalise: 0,
        'normalise-output': 0,
        // Four in capitals, two in a fenced block.
        'exact-dedupe': 6,
        'near-dedupe': 4,
        'token-filter': 1,
      });
      assert.equal((outputs['normalise-output']?.['changes'] as JsonObject)['codeFences'], 2);
    } finally {
      await harness.close();
    }
  });

  test('the funnel of a real catalogue adds up', async (context) => {
    const real = join(ROOT, '../shared/data/catalogue-real.csv');
    const there = (await stat(real).catch(() => null)) !== null;
    const file = there ? real : join(ROOT, 'test/fixtures/curation/catalogue-small.csv');
    const columns = there
      ? { input: 'product_name', output: 'description', category: 'category' }
      : { input: 'name', output: 'description', category: 'kind' };
    const [harness, outputs] = await run(file, columns, { train: 24, dev: 8, test: 8 });
    try {
      const dropped = await checkFunnel(harness, outputs);
      context.diagnostic(JSON.stringify({ file: there ? 'catalogue-real.csv' : 'fixture', dropped }));
      const near = outputs['near-dedupe'] as JsonObject;
      assert.ok(Number(near['dropped']) > 0 && Number(near['verified']) > 0);
      assert.equal(dropped['near-dedupe'], (await harness.rows(near['matches'])).length);
    } finally {
      await harness.close();
    }
  });
});
