import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { suite, test } from 'node:test';
import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { z } from 'zod';
import { FileStore } from '../../core/store/file-store.ts';
import { noteMovement, whileWatchedElsewhere } from '../../plugins/sdk/movement.ts';
import { Operation } from '../../plugins/sdk/process/operation.ts';
import { createServices } from '../../activities/services.ts';
import { stepActivity } from '../../activities/step-activities.ts';
import type { StepContext, StepKindV1 } from '../../plugins/sdk/contracts/step-kind.ts';
import { ENGINE_FAILURES } from '../../plugins/nf4-lora/worker/engine-errors.ts';
import { Registry } from '../../plugins/host/registry.ts';
import type { JsonObject } from '../../schemas/common/json.ts';
import type { StepResult } from '../../schemas/plan/pipeline-plan.ts';

/** Far shorter than a kind may declare, so that limits are met within a test. */
const TIMES = { startToCloseTimeoutMs: 60_000, heartbeatTimeoutMs: 100, stallTimeoutMs: 500 };
/** Longer than the limit of a stall. */
const LONG_MS = 1200;

function kindOf(doRun: (context: StepContext) => Promise<JsonObject>): StepKindV1 {
  return {
    specificationVersion: 'v1',
    kind: 'test.pulse@1',
    title: 'Test',
    resource: 'cpu',
    retry: 'idempotentWrite',
    cacheable: true,
    ...TIMES,
    withSchema: z.strictObject({}),
    outputSchema: z.record(z.string(), z.json()),
    summarize: () => 'test',
    doRun: (_, context) => doRun(context),
  };
}

/** Runs a step and says how often it was heard of. */
async function run(kind: StepKindV1): Promise<{ beats: unknown[]; result: Promise<unknown> }> {
  const store = new FileStore(await mkdtemp(join(tmpdir(), 'escada-pulse-')));
  const services = createServices({ registry: new Registry(), store, dataRoots: [] });
  const env = new MockActivityEnvironment();
  const beats: unknown[] = [];
  env.on('heartbeat', (details: unknown) => beats.push(details));
  const result = env.run(stepActivity(kind, { store, services, registry: new Registry() }) as never, {});
  result.catch(() => undefined);
  return { beats, result };
}

const stalled = (error: unknown): true => {
  assert.ok(error instanceof ApplicationFailure, String(error));
  assert.deepEqual([error.type, error.nonRetryable], ['STEP_STALLED', false]);
  assert.match(error.message, /test\.pulse@1.*nothing has moved for 0\.5 s/);
  return true;
};

suite('pulse', () => {
  test('secrets in a progress report are masked before they are sent', async () => {
    const { beats, result } = await run(
      kindOf(async (context) => {
        context.heartbeat({
          phase: 'load',
          warning: 'retry with Authorization: Bearer abcdefgh12345',
          tokens: 12,
        });
        return {};
      }),
    );
    await result;
    const warning = 'retry with Authorization: [secret]';
    assert.deepEqual(beats.at(-1), { phase: 'load', warning, tokens: 12 });
  });

  test('a step that hangs no longer sends heartbeats, gets its signal aborted, and fails with a code', async () => {
    let reason: unknown;
    const { beats, result } = await run(
      kindOf(async (context) => {
        context.heartbeat({ phase: 'loading' });
        const { signal } = context;
        signal.addEventListener('abort', () => (reason = signal.reason as unknown));
        return await new Promise<JsonObject>(() => undefined);
      }),
    );
    await assert.rejects(result, (error) => stalled(error) && /"loading"/.test(String(error)));
    assert.equal((reason as { code?: string }).code, 'STEP_STALLED');
    const heard = beats.length;
    assert.ok(heard > 3, `${heard} heartbeats`);
    await pause(4 * TIMES.heartbeatTimeoutMs);
    assert.equal(beats.length, heard);
  });

  test('so does one that hangs before it begins', async () => {
    const { result } = await run({
      ...kindOf(async () => ({})),
      doCacheSalt: async () => await new Promise(() => undefined),
    });
    await assert.rejects(result, stalled);
  });

  test('what hangs and reports after its end is not heard of', async () => {
    let report: StepContext['heartbeat'] = () => undefined;
    const { beats, result } = await run(
      kindOf(async (context) => {
        report = (details) => context.heartbeat(details);
        return await new Promise<JsonObject>(() => undefined);
      }),
    );
    await assert.rejects(result, stalled);
    const heard = beats.length;
    report({ phase: 'late' });
    assert.equal(beats.length, heard);
  });

  test('a step that makes progress runs beyond the limit, whatever moves', async () => {
    const moves = {
      progress: (context: StepContext) => context.heartbeat({ done: 1 }),
      'rows, threads, engines': () => noteMovement(),
    };
    for (const [what, move] of Object.entries(moves)) {
      const { beats, result } = await run(
        kindOf(async (context) => {
          for (const end = performance.now() + LONG_MS; performance.now() < end; await pause(50))
            move(context);
          return { ended: true };
        }),
      );
      assert.deepEqual(((await result) as StepResult).output, { ended: true }, what);
      assert.ok(beats.length > LONG_MS / TIMES.heartbeatTimeoutMs, what);
    }
  });

  test('a step that others watch is left alone until they are done, and then watched again', async () => {
    const held = await run(
      kindOf(async () => {
        await whileWatchedElsewhere(() => pause(LONG_MS));
        return { ended: true };
      }),
    );
    await held.result;
    const hung = await run(
      kindOf(async () => {
        await Promise.all([whileWatchedElsewhere(() => pause(50)), whileWatchedElsewhere(() => pause(100))]);
        return await new Promise<JsonObject>(() => undefined);
      }),
    );
    await assert.rejects(hung.result, stalled);
  });

  test('an operation of a process with a limit of its own is such a watch; one without is not', async () => {
    const methods = { load: { params: z.unknown(), result: z.unknown(), event: z.unknown() } };
    const operation = (stallMs?: number): Operation<typeof methods> =>
      new Operation(
        { id: 1, method: 'load', graceMs: 1000 },
        {
          methods,
          failures: ENGINE_FAILURES,
          lastLog: () => [],
          cancel: () => undefined,
          kill: () => undefined,
        },
        { ...(stallMs === undefined ? {} : { stallMs }) },
      );
    const watched = await run(
      kindOf(async () => {
        const load = operation(60_000);
        setTimeout(() => load.result({}), LONG_MS);
        await load.promise;
        return {};
      }),
    );
    await watched.result;
    const silent = await run(
      kindOf(async () => ({ ended: await operation().promise }) as unknown as JsonObject),
    );
    await assert.rejects(silent.result, stalled);
    const reporting = await run(
      kindOf(async () => {
        const load = operation();
        const timer = setInterval(() => load.event({ kind: 'alive' }), 50);
        setTimeout(() => load.result({}), LONG_MS);
        await load.promise.finally(() => clearInterval(timer));
        return {};
      }),
    );
    await reporting.result;
  });

  test('a process that was stopped is not taken for work that stalls', async () => {
    const { result } = await run(
      kindOf(async () => {
        await pause(60);
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LONG_MS);
        await pause(60);
        return { ended: true };
      }),
    );
    await result;
  });
});
