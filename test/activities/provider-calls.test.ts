/** Requests as calls of a provider: their rows, how many are in flight, and what is kept when an attempt is lost. */
import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import { MockActivityEnvironment } from '@temporalio/testing';
import { z } from 'zod';
import { callLimitsOf, CallPermits } from '../../activities/call-limits.ts';
import { callInChunks } from '../../activities/chunked-call.ts';
import { withProviderCalls } from '../../activities/provider-calls.ts';
import { stepActivity } from '../../activities/step-activities.ts';
import { createServices } from '../../activities/services.ts';
import { FileStore } from '../../core/store/file-store.ts';
import { Registry } from '../../plugins/host/registry.ts';
import type { LanguageModelProviderV1, LanguageModelV1 } from '../../plugins/sdk/contracts/language-model.ts';
import { readJsonl, type Prediction } from '../../plugins/sdk/jsonl.ts';
import { embed, generate, score, usageOf } from '../../plugins/sdk/model-calls.ts';
import { generateAnswers } from '../../plugins/steps/llm/generate-answers.ts';
import type { ArtifactRef } from '../../schemas/common/artifact-ref.ts';
import type { JsonObject } from '../../schemas/common/json.ts';
import type { StepResult } from '../../schemas/plan/pipeline-plan.ts';
import type { Usage } from '../../schemas/outcome/usage.ts';

const MODEL = { provider: 'hosted', id: 'm', options: {} };
const PLACE = { namespace: 'n', workflowId: 'w', firstRunId: 'r', nodeId: 'node' };
const CENT = 0.25;

/** A service that writes down the rows of every call; `during` runs while a call is in flight. */
function hosted(during: (call: number, rows: readonly string[]) => Promise<void> = async () => undefined) {
  const calls: string[][] = [];
  const take = async (rows: readonly { readonly id: string }[]): Promise<void> => {
    const ids = rows.map(({ id }) => id);
    calls.push(ids);
    await during(calls.length, ids);
  };
  const usage = { promptTokens: 2, completionTokens: 1, costUsd: CENT };
  const model: LanguageModelV1 = {
    specificationVersion: 'v1',
    provider: MODEL.provider,
    modelId: MODEL.id,
    doGenerate: async ({ rows }) => {
      await take(rows);
      return {
        answers: rows.map(({ id }) => ({ id, text: `to ${id}`, finish: 'stop' as const, usage })),
        seconds: 2,
      };
    },
    doScore: async ({ rows }) => {
      await take(rows);
      const scored = { logProbNats: -1.5, tokens: 3 };
      const scores = rows.map(({ id, continuations }) => ({
        id,
        continuations: continuations.map(() => scored),
      }));
      return { scores, seconds: 2, costUsd: CENT };
    },
    doEmbed: async ({ rows }) => {
      await take(rows);
      const embeddings = rows.map(({ id }, at) => ({ id, vector: Float32Array.of(0.1, at), tokens: 1 }));
      return { embeddings, seconds: 2, costUsd: CENT };
    },
  };
  return { calls, model };
}

const providerOf = (
  model: LanguageModelV1,
  changes: Partial<LanguageModelProviderV1> = {},
): LanguageModelProviderV1 => ({
  id: MODEL.provider,
  resource: 'io',
  billable: true,
  optionsSchema: z.strictObject({}),
  open: () => model,
  ...changes,
});

const idsOf = (count: number): string[] => Array.from({ length: count }, (_, at) => `row-${at}`);

const promptsOf = (count: number) =>
  idsOf(count).map((id) => ({
    id,
    messages: [{ role: 'user' as const, content: id }],
    continuations: ['x'],
  }));

/** Rows as curation leaves them. */
async function writeRows(folder: string, count: number): Promise<string> {
  const path = join(folder, 'rows.parquet');
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const columns = "'row-' || range AS id, 'row-' || range AS input, 'x' AS output, range AS row";
  await connection.run(`COPY (SELECT ${columns} FROM range(${count})) TO '${path}' (FORMAT parquet)`);
  connection.closeSync();
  instance.closeSync();
  return path;
}

/** A worker's activity over a store; every call of it is another worker on the same files. */
function workerOf(folder: string, provider: LanguageModelProviderV1) {
  const store = new FileStore(folder);
  const registry = new Registry();
  registry.registrarFor('hosted', '1.0.0').addLanguageModelProvider(provider);
  const services = createServices({ registry, store, dataRoots: [] });
  return { store, activity: stepActivity(generateAnswers, { store, services, registry }) };
}

/** The model as a step gets it. */
async function modelOf(provider: LanguageModelProviderV1, folder?: string): Promise<LanguageModelV1> {
  const { store } = workerOf(folder ?? (await mkdtemp(join(tmpdir(), 'escada-calls-'))), provider);
  const services = { languageModel: () => provider.open(MODEL) } as never;
  return withProviderCalls(services, () => provider, { store, place: PLACE, runId: 'r' }).languageModel(
    MODEL,
  );
}

const { signal } = new AbortController();

suite('a step of a billable model that is killed', () => {
  test('pays once more only for the call that was in flight', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'escada-calls-'));
    const killed = new AbortController();
    const gone = new AbortController();
    const { calls, model } = hosted(async (call) => {
      if (call !== 3) return;
      killed.abort();
      await sleep(60_000, null, { signal: gone.signal });
    });
    const { store, activity } = workerOf(folder, providerOf(model));
    const rows = await store.putFile(await writeRows(folder, 80), 'application/vnd.apache.parquet');
    const recipe = { instruction: 'Say it.', system: '', demonstrations: null, retrieval: null };
    const input = { model: MODEL, recipe, adapter: null, rows, maxNewTokens: 8, seed: 1 } as never;
    const run = (work: typeof activity, attempt: number) =>
      new MockActivityEnvironment({ attempt, activityId: 'node' }).run<
        [JsonObject],
        StepResult,
        typeof activity
      >(work, input);
    const first = run(activity, 1);
    const lost = first.catch((error: unknown) => error);
    while (!killed.signal.aborted) await Promise.race([sleep(5), first]);

    const { output } = await run(workerOf(folder, providerOf(model)).activity, 2);
    const chunk = (at: number) => idsOf(80).slice(16 * at, 16 * (at + 1));
    assert.deepEqual(calls, [0, 1, 2, 2, 3, 4].map(chunk));
    const predictions = await readJsonl<Prediction>(store, output['predictions'] as unknown as ArtifactRef);
    assert.deepEqual(
      predictions.map(({ id, prediction }) => [id, prediction]),
      idsOf(80).map((id) => [id, `to ${id}`]),
    );
    const { promptTokens, completionTokens, seconds, costUsd } = output['usage'] as unknown as Usage;
    assert.deepEqual([promptTokens, completionTokens, seconds, costUsd], [160, 80, 10, 80 * CENT]);
    // The process of the first attempt would be gone by now.
    gone.abort();
    await lost;
  });
});

suite('calls of a provider', () => {
  test('of a billable one are kept for scores and embeddings too, in rows as it declares', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'escada-calls-'));
    const results = [];
    const { calls, model } = hosted();
    for (let attempt = 1; attempt <= 2; attempt++) {
      const kept = await modelOf(providerOf(model, { rowsPerCall: 2 }), folder);
      const scored = await score(kept, { rows: promptsOf(3), signal });
      const embedded = await embed(kept, { rows: idsOf(3).map((id) => ({ id, text: id })), signal });
      results.push([scored, embedded, usageOf(scored), usageOf(embedded)]);
    }
    assert.deepEqual(
      calls.map((rows) => rows.length),
      [2, 1, 2, 1],
    );
    assert.deepEqual(results[1], results[0]);
    const [scored, embedded] = results[1] as never as [
      { costUsd: number; seconds: number },
      { embeddings: { vector: unknown }[] },
    ];
    assert.deepEqual([scored.costUsd, scored.seconds], [2 * CENT, 4]);
    assert.deepEqual(embedded.embeddings[2]?.vector, Float32Array.of(0.1, 0));
  });

  test('of a local one have every row at once and are not kept', async () => {
    const { calls, model } = hosted();
    const provider = providerOf(model, { billable: false, resource: 'gpu' });
    const local = await modelOf(provider);
    assert.equal(local, model);
    for (let again = 0; again < 2; again++) await generate(local, { rows: promptsOf(40), signal });
    assert.deepEqual(
      calls.map((rows) => rows.length),
      [40, 40],
    );
  });

  test('are in flight no more than declared, over all steps of the worker', async () => {
    let [running, most] = [0, 0];
    const { calls, model } = hosted(async () => {
      most = Math.max(most, (running += 1));
      await sleep(10);
      running -= 1;
    });
    const provider = providerOf(model, { rowsPerCall: 1, maxConcurrentCalls: 3 });
    const steps = [await modelOf(provider), await modelOf(provider)];
    const [one] = await Promise.all(steps.map((step) => generate(step, { rows: promptsOf(6), signal })));
    assert.deepEqual([calls.length, most], [12, 3]);
    // Six calls of two seconds, three at a time.
    assert.equal(one?.seconds.toFixed(6), '4.000000');
    assert.deepEqual(
      one.answers.map(({ id }) => id),
      idsOf(6),
    );
  });

  test('that are in flight when another one fails are kept, and no further one is sent', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'escada-calls-'));
    const { calls, model } = hosted(async (call) => {
      if (call === 1) throw new Error('refused');
      await sleep(20);
    });
    const open = () => modelOf(providerOf(model, { rowsPerCall: 1, maxConcurrentCalls: 2 }), folder);
    const request = { rows: promptsOf(4), signal };
    await assert.rejects(generate(await open(), request), /refused/);
    assert.deepEqual(calls, [['row-0'], ['row-1']]);
    await generate(await open(), request);
    assert.deepEqual(calls.slice(2).flat().sort(), ['row-0', 'row-2', 'row-3']);
  });

  test('report progress over the rows of the whole request', async () => {
    const { model } = hosted();
    const seen: [number, number][] = [];
    await generate(await modelOf(providerOf(model, { rowsPerCall: 2 })), {
      rows: promptsOf(5),
      signal,
      onProgress: ({ done, total }) => seen.push([done, total]),
    });
    assert.deepEqual(seen, [
      [2, 5],
      [4, 5],
      [5, 5],
    ]);
  });

  test('are not sent once the request is aborted', async () => {
    const stopped = new AbortController();
    const { calls, model } = hosted(async () => stopped.abort(new Error('stopped')));
    const limits = callLimitsOf(providerOf(model, { rowsPerCall: 1 })) ?? assert.fail('no limits');
    const request = { rows: promptsOf(3), signal: stopped.signal };
    await assert.rejects(
      callInChunks(request, limits, (chunk) => model.doGenerate(chunk)),
      /stopped/,
    );
    assert.equal(calls.length, 1);
  });
});

test('permits come back when the work fails, and go to who waited longest', async () => {
  const permits = new CallPermits(1);
  const order: string[] = [];
  const work = (name: string) =>
    permits.hold(async () => {
      order.push(name);
      await sleep(1);
      if (name === 'a') throw new Error('a');
    });
  const ended = await Promise.allSettled(['a', 'b', 'c'].map(work));
  assert.deepEqual(order, ['a', 'b', 'c']);
  assert.deepEqual(
    ended.map(({ status }) => status),
    ['rejected', 'fulfilled', 'fulfilled'],
  );
});
