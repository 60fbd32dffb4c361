import assert from 'node:assert/strict';
import { mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { z } from 'zod';
import { FileStore } from '../../../activities/artifacts/file-store.ts';
import { createServices } from '../../../activities/shared/services.ts';
import { stepActivity } from '../../../activities/steps/run-step.ts';
import { EscadaFailure } from '../../../plugins/api/failure.ts';
import type { StepContext, StepKindV1 } from '../../../plugins/api/step-kind.ts';
import { Registry } from '../../../plugins/host/registry.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';
import type { StepResult } from '../../../schemas/pipeline/plan.ts';

type Run = (input: { readonly n: number }, context: StepContext) => Promise<JsonObject>;

async function setUp(doRun: Run, cacheable = true) {
  const store = new FileStore(await mkdtemp(join(tmpdir(), 'escada-steps-')));
  const services = createServices({ registry: new Registry(), store, dataRoots: [] });
  const kind: StepKindV1<{ n: number }> = {
    specificationVersion: 'v1',
    kind: 'test.step@1',
    title: 'Test',
    resource: 'cpu',
    retry: 'idempotentWrite',
    cacheable,
    startToCloseTimeoutMs: 1000,
    heartbeatTimeoutMs: 1000,
    withSchema: z.strictObject({ n: z.int() }),
    outputSchema: z.record(z.string(), z.json()),
    summarize: () => 'test',
    doRun,
  };
  const activity = stepActivity(kind, { store, services });
  const run = async (input: JsonObject, env = new MockActivityEnvironment()) =>
    await env.run<[JsonObject], StepResult, (input: JsonObject) => Promise<StepResult>>(activity, input);
  return { store, run };
}

test('a finished step is not run again: its result is found and shown as cached', async () => {
  let runs = 0;
  const { run } = await setUp((input) => Promise.resolve({ twice: input.n * 2, runs: (runs += 1) }));
  assert.deepEqual((await run({ n: 2 })).output, { twice: 4, runs: 1 });
  const again = await run({ n: 2 });
  assert.equal(again.cached, true);
  assert.deepEqual(again.output, { twice: 4, runs: 1 });
  assert.equal((await run({ n: 3 })).cached, false);
});

test('a cached result whose artifact is gone is made again', async () => {
  const { store, run } = await setUp(async (_input, context) => ({
    file: (await context.store.putBytes(Buffer.from('bytes'), 'text/plain')) as unknown as JsonObject,
  }));
  const first = await run({ n: 1 });
  const ref = first.output['file'] as unknown as { sha256: string };
  const { rm } = await import('node:fs/promises');
  await rm(join(store.root, 'objects', 'sha256', ref.sha256.slice(0, 2), ref.sha256));
  const again = await run({ n: 1 });
  assert.equal(again.cached, false);
  assert.deepEqual(again.output, first.output);
});

test('an attempt has a folder of its own and sees those of earlier attempts', async () => {
  let attempt = 0;
  const { run } = await setUp(async (_input, context) => {
    attempt += 1;
    await writeFile(join(context.scratchDir, 'note'), String(attempt));
    if (attempt < 3) throw new EscadaFailure({ code: 'ENGINE_CRASHED', message: 'gone' });
    const seen = await Promise.all(
      context.earlierScratchDirs.map(async (dir) => (await readdir(dir)).join()),
    );
    return { seen };
  });
  await assert.rejects(run({ n: 1 }));
  await assert.rejects(run({ n: 1 }));
  assert.deepEqual((await run({ n: 1 })).output, { seen: ['note', 'note'] });
});

test('coded failures become application failures: type, details, and whether a retry can help', async () => {
  for (const [code, nonRetryable] of [
    ['ENGINE_CRASHED', false],
    ['DATA_UNREADABLE', true],
  ] as const) {
    const { run } = await setUp(() =>
      Promise.reject(new EscadaFailure({ code, message: 'why', fields: { line: 3 } })),
    );
    await assert.rejects(run({ n: 1 }), (error: unknown) => {
      assert.ok(error instanceof ApplicationFailure);
      assert.deepEqual([error.type, error.nonRetryable, error.details], [code, nonRetryable, [{ line: 3 }]]);
      return true;
    });
  }
});

test('options that do not fit the kind are refused with the field', async () => {
  const { run } = await setUp(() => Promise.resolve({}));
  await assert.rejects(run({ n: 'x' }), /n: Invalid input/);
});

test('an oversized result is refused, not sent', async () => {
  const { run } = await setUp(() => Promise.resolve({ text: 'x'.repeat(600_000) }));
  await assert.rejects(run({ n: 1 }), { type: 'PAYLOAD_TOO_LARGE' });
});

test('a cancelled step ends as cancelled, publishes nothing, and runs again next time', async () => {
  let runs = 0;
  const { run } = await setUp(async (_input, context) => {
    runs += 1;
    if (runs > 1) return { runs };
    await new Promise((_, reject) =>
      context.signal.addEventListener('abort', () => reject(new Error('stopped'))),
    );
    return { runs };
  });
  const env = new MockActivityEnvironment();
  const running = run({ n: 1 }, env);
  setTimeout(() => env.cancel('CANCELLED'), 50);
  await assert.rejects(running, (error) => error instanceof CancelledFailure);
  assert.deepEqual((await run({ n: 1 })).output, { runs: 2 });
});

test('kinds that are not cacheable still find the published result of an earlier attempt of the same run', async () => {
  let runs = 0;
  const { run } = await setUp(() => Promise.resolve({ runs: (runs += 1) }), false);
  await run({ n: 1 });
  assert.equal((await run({ n: 1 })).cached, true);
});
