/** Steps that cost money: how often they are tried, and that nothing is paid for twice. */
import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { z } from 'zod';
import { stepActivity } from '../../activities/step-activities.ts';
import { createServices } from '../../activities/services.ts';
import { FileStore } from '../../core/store/file-store.ts';
import { Registry } from '../../plugins/host/registry.ts';
import { EscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import type { StepContext, StepKindV1, StepServices } from '../../plugins/sdk/contracts/step-kind.ts';
import { MODEL_STEP } from '../../plugins/sdk/model-step.ts';
import { answeringModel } from '../../plugins/sdk/testing/answering-model.ts';
import type { JsonObject } from '../../schemas/common/json.ts';
import type { StepResult } from '../../schemas/plan/pipeline-plan.ts';

/** Attempts of a step that calls a model of a provider whose calls cost money. */
async function setUp(
  doRun: (ask: (row: string) => Promise<string>, context: StepContext) => Promise<JsonObject>,
  changes: Partial<StepKindV1> = {},
) {
  const store = new FileStore(await mkdtemp(join(tmpdir(), 'escada-billing-')));
  const registry = new Registry();
  const paid: string[] = [];
  registry.registrarFor('hosted', '1.0.0').addLanguageModelProvider({
    id: 'hosted',
    resource: 'io',
    billable: true,
    optionsSchema: z.strictObject({}),
    assumedTokensPerSecond: { prompt: 1, generate: 1, train: 1 },
    open: () =>
      answeringModel(({ id }) => {
        paid.push(id);
        return `answer to ${id}`;
      }),
  });
  const services: StepServices = createServices({ registry, store, dataRoots: [] });
  const kind: StepKindV1 = {
    specificationVersion: 'v1',
    kind: 'test.ask@1',
    title: 'Test',
    resource: MODEL_STEP.resource,
    retry: MODEL_STEP.retry,
    cacheable: true,
    startToCloseTimeoutMs: 1000,
    heartbeatTimeoutMs: 1000,
    withSchema: z.record(z.string(), z.json()),
    outputSchema: z.record(z.string(), z.json()),
    summarize: () => 'test',
    doRun: async (_input, context) => {
      const model = context.languageModel({ provider: 'hosted', id: 'm', options: {} });
      const ask = async (id: string): Promise<string> => {
        const settings = { maxNewTokens: 8, temperature: 0, topP: 1, seed: 1, stop: [] };
        const rows = [{ id, messages: [{ role: 'user' as const, content: id }] }];
        const { signal } = context;
        const { answers } = await model.doGenerate({
          rows,
          ...settings,
          signal,
          onProgress: () => undefined,
        });
        return answers[0]?.text ?? '';
      };
      return await doRun(ask, context);
    },
    ...changes,
  };
  const activity = stepActivity(kind, { store, services, registry });
  const run = async (attempt: number, activityId = 'node'): Promise<StepResult> => {
    const env = new MockActivityEnvironment({ attempt, activityId });
    const input = { model: { provider: 'hosted', id: 'm' } };
    return await env.run<[JsonObject], StepResult, typeof activity>(activity, input);
  };
  return { run, paid };
}

const failureOf = async (attempt: Promise<unknown>): Promise<ApplicationFailure> =>
  await attempt.then(
    () => assert.fail('it succeeded'),
    (error: unknown) => {
      assert.ok(error instanceof ApplicationFailure, String(error));
      return error;
    },
  );

suite('a step that costs money', () => {
  const crash = () => Promise.reject(new EscadaFailure({ code: 'ENGINE_CRASHED', message: 'gone' }));

  test('is tried twice, whatever the plan says, and then no more', async () => {
    const { run } = await setUp(crash);
    const failures = [await failureOf(run(1)), await failureOf(run(2)), await failureOf(run(3))];
    assert.deepEqual(
      failures.map(({ type, nonRetryable }) => [type, nonRetryable]),
      [
        ['ENGINE_CRASHED', false],
        ['ENGINE_CRASHED', true],
        ['BILLABLE_ATTEMPTS_USED', true],
      ],
    );
    assert.match(failures[2]?.message ?? '', /Step node costs money and was tried 2 times/);
    const free = await setUp(crash, { retry: 'idempotentWrite' });
    assert.equal((await failureOf(free.run(3))).nonRetryable, false);
  });

  test('is not tried again after a bug, or when its result cannot be used', async () => {
    const bug = await setUp(() => Promise.reject(new RangeError('Invalid array length')));
    const wrong = await setUp(async () => ({}), { outputSchema: z.object({ n: z.int() }) as never });
    for (const { run } of [bug, wrong]) {
      const { type, nonRetryable } = await failureOf(run(1));
      assert.deepEqual([type, nonRetryable], ['INTERNAL', true]);
    }
    const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' });
    const { run } = await setUp(() => Promise.reject(reset));
    assert.equal((await failureOf(run(1))).nonRetryable, false);
  });

  test('does not pay again for the calls of an attempt that failed later', async () => {
    let attempts = 0;
    const { run, paid } = await setUp(async (ask) => {
      attempts += 1;
      const first = await ask('a');
      if (attempts === 1) throw new EscadaFailure({ code: 'ENGINE_CRASHED', message: 'gone' });
      return { answers: [first, await ask('b')] };
    });
    await failureOf(run(1));
    const { output } = await run(2);
    assert.deepEqual(output, { answers: ['answer to a', 'answer to b'] });
    assert.deepEqual(paid, ['a', 'b']);
  });

  test('finds the result of an attempt whose reply was lost, even beyond its tries and without a cache', async () => {
    for (const cacheable of [true, false]) {
      const { run, paid } = await setUp(async (ask) => ({ answer: await ask('a') }), { cacheable });
      await run(1);
      const again = await run(3);
      assert.deepEqual([again.cached, again.output], [true, { answer: 'answer to a' }]);
      assert.deepEqual(paid, ['a']);
    }
  });

  test('another step pays for its own calls', async () => {
    const { run, paid } = await setUp(async (ask) => ({ answer: await ask('a') }), { cacheable: false });
    await run(1, 'one');
    await run(1, 'two');
    assert.deepEqual(paid, ['a', 'a']);
  });
});
