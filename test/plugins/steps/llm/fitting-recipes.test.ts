/** Recipes whose prompts do not fit the model are left out by name; the others are measured. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { MockActivityEnvironment } from '@temporalio/testing';
import { z } from 'zod';
import { FileStore } from '../../../../core/store/file-store.ts';
import { createStepActivities } from '../../../../activities/step-activities.ts';
import type { PluginV1 } from '../../../../plugins/sdk/contracts/plugin.ts';
import { countingModel } from '../../../../plugins/sdk/testing/counting-model.ts';
import { createProjectHost } from '../../../../plugins.ts';
import type { JsonObject } from '../../../../schemas/common/json.ts';
import type { StepResult } from '../../../../schemas/plan/pipeline-plan.ts';

/** Models that count words, with the context that their id names; `mute` ones do not count. */
const counting: PluginV1 = {
  name: 'counting',
  version: '1.0.0',
  apiVersion: 1,
  needs: [],
  optionsSchema: z.strictObject({}),
  register: (registrar) =>
    registrar.addLanguageModelProvider({
      id: 'words',
      optionsSchema: z.strictObject({}),
      resource: 'cpu',
      billable: false,
      open: ({ id }) =>
        id === 'mute'
          ? countingModel(id, { count: false })
          : countingModel(id, { contextTokens: Number(id) }),
    }),
  close: async () => undefined,
};

const host = createProjectHost([{ plugin: counting }]);
const folder = await mkdtemp(join(tmpdir(), 'escada-fitting-'));
const activities = createStepActivities({
  host,
  store: new FileStore(join(folder, 'store')),
  dataRoots: [folder],
});

async function run(kind: string, input: JsonObject): Promise<JsonObject> {
  const activity = activities[kind] as unknown as (input: JsonObject) => Promise<StepResult>;
  const env = new MockActivityEnvironment();
  return (await env.run<[JsonObject], StepResult, typeof activity>(activity, input)).output;
}

async function dataset(name: string, rows: readonly (readonly [string, string])[]): Promise<JsonObject> {
  await writeFile(
    join(folder, name),
    rows.map(([input, output]) => `${JSON.stringify({ input, output })}\n`).join(''),
  );
  const columns = { input: 'input', output: 'output' };
  return (await run('curate.read@1', { source: { path: name }, columns }))['dataset'] as JsonObject;
}

const train = dataset('train.jsonl', [
  ['one two', 'three'],
  ['four five', 'six'],
  ['seven eight', 'nine'],
]);

const recipe = async (shots: number): Promise<JsonObject> => ({
  system: '',
  instruction: 'Go',
  demonstrations: shots === 0 ? null : { rows: await train, shots, selection: 'random', seed: 1 },
  retrieval: null,
});

suite('recipes that fit', () => {
  after(async () => {
    await host.close();
    await rm(folder, { recursive: true, force: true });
  });

  const ask = async (contextTokens: number | 'mute', shots: readonly number[]): Promise<JsonObject> => {
    const rows = await dataset('dev.jsonl', [
      ['a', 'x'],
      ['a b c', 'x'],
    ]);
    const model = { provider: 'words', id: String(contextTokens) };
    return await run('select.fitting@1', {
      model,
      recipes: await Promise.all(shots.map(recipe)),
      rows,
      maxNewTokens: 2,
    });
  };

  test('the longest row, its demonstrations and room for an answer count', async () => {
    // Go and three words, two of an answer: 6; four more with each demonstration.
    for (const [context, fitting] of [
      [18, [0, 1, 3]],
      [17, [0, 1]],
      [10, [0, 1]],
      [9, [0]],
    ] as const) {
      const output = await ask(context, [0, 1, 3]);
      assert.deepEqual(output['recipes'], await Promise.all(fitting.map(recipe)), `a context of ${context}`);
      assert.equal(output['fitting'], fitting.length);
    }
    const { skipped } = await ask(9, [3, 0, 1]);
    assert.deepEqual(skipped, [
      {
        name: '3-random',
        reason: 'its longest prompt has 16 tokens and its answer may have 2; the context holds 9',
      },
      {
        name: '1-random',
        reason: 'its longest prompt has 8 tokens and its answer may have 2; the context holds 9',
      },
    ]);
  });

  test('when none fits the step fails and says why of each', async () => {
    await assert.rejects(ask(5, [0, 3]), (error: { type?: string; message: string }) => {
      assert.equal(error.type, 'PROMPT_TOO_LONG');
      assert.match(error.message, /3-random: its longest prompt has 16 tokens/);
      return true;
    });
  });

  test('a model that cannot count is asked', async () => {
    assert.equal((await ask('mute', [0, 3]))['fitting'], 2);
  });
});
