import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { z } from 'zod';
import { FileStore } from '../../core/store/file-store.ts';
import { createServices } from '../../activities/services.ts';
import { stepActivity } from '../../activities/step-activities.ts';
import { EscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import type { StepContext, StepKindV1 } from '../../plugins/sdk/contracts/step-kind.ts';
import { Registry } from '../../plugins/host/registry.ts';
import type { JsonObject } from '../../schemas/common/json.ts';
import type { StepOrigin, StepResult } from '../../schemas/plan/pipeline-plan.ts';

type Run = (input: { readonly n: number }, context: StepContext) => Promise<JsonObject>;

const NUMBER = z.strictObject({ n: z.int() });

async function setUp(doRun: Run, cacheable = true, withSchema: z.ZodType<{ n: number }> = NUMBER) {
  const store = new FileStore(await mkdtemp(join(tmpdir(), 'escada-steps-')));
  const registry = new Registry();
  const services = createServices({ registry, store, dataRoots: [] });
  const kind: StepKindV1<{ n: number }> = {
    specificationVersion: 'v1',
    kind: 'test.step@1',
    title: 'Test',
    resource: 'cpu',
    retry: 'idempotentWrite',
    cacheable,
    startToCloseTimeoutMs: 1000,
    heartbeatTimeoutMs: 1000,
    withSchema,
    outputSchema: z.record(z.string(), z.json()),
    summarize: () => 'test',
    doRun,
  };
  const activity = stepActivity(kind, { store, services, registry });
  const run = async (
    input: JsonObject,
    env = new MockActivityEnvironment(),
    origin?: StepOrigin,
  ): Promise<StepResult> =>
    await env.run<[JsonObject, StepOrigin?], StepResult, typeof activity>(activity, input, origin);
  return { kind: kind as StepKindV1, services, store, run };
}

/** An environment in which an Activity has these ids. */
function within(ids: { workflowId?: string; runId?: string; activityId?: string; namespace?: string }) {
  const { workflowId = 'w', runId = 'r', activityId = 'node', namespace = 'default' } = ids;
  const workflowExecution = { workflowId, runId };
  return new MockActivityEnvironment({ workflowExecution, activityId, namespace });
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

test('a result of another version of the plugin is not used again', async () => {
  let runs = 0;
  const { kind, store, services } = await setUp(() => Promise.resolve({ runs: (runs += 1) }));
  const runWith = async (version: string): Promise<StepResult> => {
    const registry = new Registry();
    registry.registrarFor('mine', version).addStepKind({ ...kind, heartbeatTimeoutMs: 5000 });
    const activity = stepActivity(kind, { store, services, registry });
    return await new MockActivityEnvironment().run<[JsonObject], StepResult, typeof activity>(activity, {
      n: 1,
    });
  };
  const results = [await runWith('1.0.0'), await runWith('1.0.0'), await runWith('1.0.1')];
  assert.deepEqual(
    results.map(({ cached, output }) => [cached, output['runs']]),
    [
      [false, 1],
      [true, 1],
      [false, 2],
    ],
  );
});

test('a cached result whose artifact is gone is made again', async () => {
  const { store, run } = await setUp(async (_input, context) => ({
    file: (await context.store.putBytes(Buffer.from('bytes'), 'text/plain')) as unknown as JsonObject,
  }));
  const first = await run({ n: 1 });
  const ref = first.output['file'] as unknown as { sha256: string };
  await rm(join(store.root, 'objects', 'sha256', ref.sha256.slice(0, 2), ref.sha256));
  const again = await run({ n: 1 });
  assert.equal(again.cached, false);
  assert.deepEqual(again.output, first.output);
});

test('an attempt has a folder of its own and continues from the checkpoints of earlier ones', async () => {
  let attempt = 0;
  const { run } = await setUp(async (_input, { scratchDir, checkpoints }) => {
    attempt += 1;
    assert.deepEqual(await readdir(scratchDir), []);
    const restored = await checkpoints.restore();
    const earlier = [...(await checkpoints.earlierSteps())];
    if (attempt === 2) throw new EscadaFailure({ code: 'ENGINE_CRASHED', message: 'gone' });
    const checkpoint = join(checkpoints.folder, `checkpoint-${attempt * 10}`);
    await mkdir(checkpoint, { recursive: true });
    await writeFile(join(checkpoint, 'manifest.json'), '{}');
    if (attempt < 3) throw new EscadaFailure({ code: 'ENGINE_CRASHED', message: 'gone' });
    return { restored, earlier, names: (await readdir(checkpoints.folder)).sort() };
  });
  await assert.rejects(run({ n: 1 }));
  await assert.rejects(run({ n: 1 }));
  const { output } = await run({ n: 1 });
  // The second attempt took the first one's over before it failed.
  assert.deepEqual(output, { restored: 1, earlier: [10, 10], names: ['checkpoint-10', 'checkpoint-30'] });
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
  await assert.rejects(run({ n: 'x' }), /n: is "x", not a whole number/);
});

test('an oversized result is refused, not sent', async () => {
  const { run } = await setUp(() => Promise.resolve({ text: 'x'.repeat(600_000) }));
  await assert.rejects(run({ n: 1 }), { type: 'PAYLOAD_TOO_LARGE' });
});

test('a cancelled step ends as cancelled, publishes nothing, and runs again next time', async () => {
  let runs = 0;
  const env = new MockActivityEnvironment();
  const { run } = await setUp(async (_input, context) => {
    runs += 1;
    if (runs > 1) return { runs };
    setImmediate(() => env.cancel('CANCELLED'));
    await new Promise((_, reject) =>
      context.signal.addEventListener('abort', () => reject(new Error('stopped'))),
    );
    return { runs };
  });
  await assert.rejects(run({ n: 1 }, env), (error) => error instanceof CancelledFailure);
  assert.deepEqual((await run({ n: 1 })).output, { runs: 2 });
});

test('kinds that are not cacheable still find the published result of an earlier attempt of the same run', async () => {
  let runs = 0;
  const { run } = await setUp(() => Promise.resolve({ runs: (runs += 1) }), false);
  await run({ n: 1 });
  assert.equal((await run({ n: 1 })).cached, true);
});

suite('ids of steps and runs', () => {
  const fails: Run = async (_input, context) => {
    await writeFile(join(context.scratchDir, 'note'), 'x');
    throw new EscadaFailure({
      code: 'ENGINE_CRASHED',
      message: 'gone',
      fields: { earlier: (await context.checkpoints.earlierSteps()).length },
    });
  };
  const earlierOf = async (attempt: Promise<unknown>): Promise<unknown> =>
    await attempt.then(
      () => assert.fail(),
      (error: unknown) => {
        assert.ok(error instanceof ApplicationFailure, String(error));
        return (error.details?.[0] as { earlier: number }).earlier;
      },
    );

  test('no two of them share a folder, and none leads out of it', async () => {
    const { store, run } = await setUp(fails);
    const ids = ['a/b', 'a_b', '数据一', '数据二', '..', '.', '../..', 'x'.repeat(300), 'x'.repeat(299), ''];
    for (const id of ids) {
      assert.equal(await earlierOf(run({ n: 1 }, within({ workflowId: id }))), 0, `run ${id}`);
      assert.equal(await earlierOf(run({ n: 1 }, within({ activityId: id }))), 0, `node ${id}`);
      assert.equal(await earlierOf(run({ n: 1 }, within({ namespace: `n${id}` }))), 0, `namespace ${id}`);
    }
    assert.deepEqual((await readdir(store.root)).sort(), ['holds', 'runs']);
    assert.deepEqual(await readdir(join(store.root, 'holds')), []);
    assert.equal((await readdir(join(store.root, 'runs'))).length, 2 * ids.length + 1);
  });

  test('attempts of a run and of those that continue it share what they made; a run started later does not', async () => {
    const { run } = await setUp(fails);
    const first = { firstRunId: 'first' };
    assert.equal(await earlierOf(run({ n: 1 }, within({ runId: 'first' }), first)), 0);
    assert.equal(await earlierOf(run({ n: 1 }, within({ runId: 'first' }), first)), 1);
    assert.equal(await earlierOf(run({ n: 1 }, within({ runId: 'second' }), first)), 2);
    assert.equal(await earlierOf(run({ n: 1 }, within({ runId: 'later' }), { firstRunId: 'later' })), 0);
    assert.equal(await earlierOf(run({ n: 1 }, within({ runId: 'first' }))), 3);
  });

  test('the folder says in words whose it is', async () => {
    const { store, run } = await setUp(fails);
    await assert.rejects(run({ n: 1 }, within({ workflowId: '数据/一', activityId: 'curate/read' })));
    const [name = ''] = await readdir(join(store.root, 'runs'));
    const folder = join(store.root, 'runs', name);
    assert.match(await readFile(join(folder, 'run.json'), 'utf8'), /"workflowId": "数据\/一"/);
    const [node = ''] = await readdir(join(folder, 'steps'));
    assert.match(await readFile(join(folder, 'steps', node, 'node.json'), 'utf8'), /curate\/read/);
  });
});

test('a step that finishes leaves the folders of later attempts alone, and no token is given twice', async () => {
  const seen: string[] = [];
  const gates: (() => void)[] = [];
  const { run } = await setUp(async (_input, context) => {
    seen.push(context.scratchDir);
    await writeFile(join(context.scratchDir, 'note'), 'x');
    await new Promise<void>((resolve) => gates.push(resolve));
    return { files: await readdir(context.scratchDir) };
  }, false);
  const straggler = run({ n: 1 }, within({}));
  while (gates.length < 1) await new Promise((resolve) => setTimeout(resolve, 5));
  const second = run({ n: 1 }, within({}));
  while (gates.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  gates[0]?.();
  await straggler;
  gates[1]?.();
  assert.deepEqual((await second).output, { files: ['note'] }, 'the later attempt kept its files');
  const third = run({ n: 2 }, within({}));
  while (gates.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
  gates[2]?.();
  await third;
  assert.equal(new Set(seen).size, 3);
});

test("two nodes of a run with equal input do not take each other's result when the kind is not cacheable", async () => {
  let runs = 0;
  const { run } = await setUp(() => Promise.resolve({ runs: (runs += 1) }), false);
  await run({ n: 1 }, within({ activityId: 'one' }));
  assert.equal((await run({ n: 1 }, within({ activityId: 'two' }))).cached, false);
  assert.equal((await run({ n: 1 }, within({ activityId: 'one' }))).cached, true);
  assert.equal((await run({ n: 1 }, within({ runId: 'later', activityId: 'one' }))).cached, false);
});

test("an action file that is empty, torn or another action's counts for nothing and is written again", async () => {
  const { store, run } = await setUp((input) => Promise.resolve({ twice: input.n * 2 }));
  await run({ n: 2 });
  await run({ n: 3 });
  const folder = join(store.root, 'actions');
  const names = await readdir(folder);
  const [one = '', other = ''] = names;
  const good = await readFile(join(folder, one), 'utf8');
  const foreign = await readFile(join(folder, other), 'utf8');
  const wrong = JSON.stringify({ ...JSON.parse(good), output: 'no object' });
  for (const bad of ['', good.slice(0, 20), '[]', 'null', foreign, wrong]) {
    for (const name of names) {
      await writeFile(join(folder, name), name === one ? bad : foreign);
    }
    const cached = [(await run({ n: 2 })).cached, (await run({ n: 3 })).cached].sort();
    assert.deepEqual(cached, [false, true], JSON.stringify(bad));
    assert.equal((await run({ n: 2 })).cached, true);
  }
});

test('a step whose input is gone from the store says which step and what to do', async () => {
  const sha256 = 'e'.repeat(64);
  const ref = { uri: `artifact:sha256:${sha256}`, sha256, sizeBytes: 1, mediaType: 'text/plain' };
  const { run } = await setUp(() => Promise.reject(new Error('not reached')), true, z.any());
  await assert.rejects(run({ rows: [ref] }, within({ activityId: 'try/zero-shot' })), (error: unknown) => {
    assert.ok(error instanceof ApplicationFailure);
    assert.deepEqual([error.type, error.nonRetryable], ['ARTIFACT_MISSING', true]);
    assert.match(error.message, /^Step try\/zero-shot cannot start.*Start the run again/s);
    return true;
  });
});

test('what the system says about a disk or a path becomes a final coded failure', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'escada-steps-'));
  const { run } = await setUp(async () => {
    await writeFile('/dev/full', 'more than fits');
    return {};
  });
  await assert.rejects(run({ n: 1 }), { type: 'DISK_FULL', nonRetryable: true });
  const { run: other } = await setUp(async () => ({ text: await readFile(folder, 'utf8') }));
  await assert.rejects(other({ n: 1 }), { type: 'PATH_NOT_USABLE', nonRetryable: true });
});
