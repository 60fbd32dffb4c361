/** Nothing that a run may ask of a worker holds up its event loop: heartbeats and every other step need it. */
import assert from 'node:assert/strict';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { after, suite, test } from 'node:test';
import { MockActivityEnvironment } from '@temporalio/testing';
import { FileStore } from '../../core/store/file-store.ts';
import { createControlActivities } from '../../activities/control-activities.ts';
import { createStepActivities } from '../../activities/step-activities.ts';
import { putJsonl } from '../../plugins/sdk/jsonl.ts';
import { createProjectHost } from '../../plugins.ts';
import type { MeasuredCandidate, Score } from '../../schemas/outcome/candidate.ts';
import type { ArtifactRef } from '../../schemas/common/artifact-ref.ts';
import type { JsonObject } from '../../schemas/common/json.ts';
import type { StepResult } from '../../schemas/plan/pipeline-plan.ts';

const host = createProjectHost();
const folder = await mkdtemp(join(tmpdir(), 'escada-liveness-'));
const store = new FileStore(join(folder, 'store'));
const deps = { host, store, dataRoots: [folder] };
const steps = createStepActivities(deps);
const { judgeRung, decide } = createControlActivities(deps);
after(async () => await host.close());

/** The event loop turns far more often than this while a thread works; a step on the loop would let it turn a few times. */
const MIN_TURNS = 20;

/**
 * Runs an activity and watches the event loop turn meanwhile. The longest pause between two turns must be a small part of
 * the whole: a bound in seconds would fail on a busy machine and pass on a fast one.
 */
async function alive<T>(activity: unknown, input: unknown): Promise<T> {
  const started = performance.now();
  let [last, longest, turns, running] = [started, 0, 0, true];
  const env = new MockActivityEnvironment();
  const work = env
    .run<[unknown], T, (input: unknown) => Promise<T>>(activity as (input: unknown) => Promise<T>, input)
    .finally(() => (running = false));
  work.catch(() => undefined);
  while (running) {
    await nextTurn();
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    turns += 1;
  }
  const result = await work;
  const whole = performance.now() - started;
  assert.ok(turns >= MIN_TURNS, `${turns} turns of the event loop in ${whole} ms`);
  assert.ok(longest < whole / 2, `the event loop was blocked for ${longest} of ${whole} ms`);
  return result;
}

async function step(kind: string, input: JsonObject): Promise<JsonObject> {
  return (await alive<StepResult>(steps[kind], input)).output;
}

const wordSequence = (at: number, count: number): string =>
  Array.from({ length: count }, (_, place) => `word${(at * 31 + place * 7) % 5003}`).join(' ');

async function dataset(name: string, rows: number, length: number): Promise<ArtifactRef> {
  const lines = Array.from({ length: rows }, (_, at) =>
    JSON.stringify({ input: `question ${at} ${wordSequence(at, 6)}`, output: wordSequence(at, length) }),
  );
  await writeFile(join(folder, name), `${lines.join('\n')}\n`);
  const columns = { input: 'input', output: 'output' };
  return (await step('curate.read@1', { source: { path: name }, columns }))[
    'dataset'
  ] as unknown as ArtifactRef;
}

const primary = { id: 'chrf', with: {} };
const statistics = { level: 0.95, resamples: 1500, seed: 1 };

async function score(salt: number): Promise<Score> {
  const answers = Array.from({ length: 800 }, (_, at) => ({
    id: `r${at}`,
    input: '',
    reference: wordSequence(at, 30),
    prediction: wordSequence(at + salt * (at % 3), 30),
  }));
  const voice = { id: 'voice-rules', with: { rules: [{ name: 'short', pattern: '^.{1,100}$' }] } };
  const output = await step('score.predictions@1', {
    predictions: await putJsonl(store, answers),
    usage: { promptTokens: 0, completionTokens: 0, trainingTokens: 0, seconds: 0, peakMemoryBytes: null },
    metrics: { primary, secondary: [voice] },
    statistics,
  });
  return output as unknown as Score;
}

function candidateOf(rung: string, dev: Score): MeasuredCandidate {
  const recipe = { system: '', instruction: 'Answer.', demonstrations: null, retrieval: null };
  const model = { provider: 'nf4-lora', id: 'none', options: {} } as const;
  return { id: rung, rung, model, recipe, adapter: null, diagnostics: [], training: null, dev };
}

suite('liveness', () => {
  test('scoring, judging and deciding with many rows and resamples', async () => {
    const [plain, better] = [await score(5), await score(1)];
    const [first, second] = [candidateOf('zero-shot', plain), candidateOf('icl', better)];
    const judged = await alive<{ leads: boolean }>(judgeRung, {
      rung: 'icl',
      output: { candidates: [second], tried: 20, skipped: [] },
      best: first,
      triedBefore: 1,
      target: 0.5,
      primary,
      statistics,
      seconds: 1,
    });
    assert.equal(typeof judged.leads, 'boolean');
    await alive(decide, {
      finalists: [
        { candidate: first, order: 0, score: plain },
        { candidate: second, order: 1, score: better },
      ],
      failed: [],
      reached: 'target-not-met',
      target: 0.5,
      nonInferiorityMargin: 0.02,
      primary,
      statistics,
    });
  });

  test('reading, comparing, indexing and looking up many rows', async () => {
    const rows = (await dataset('documents.jsonl', 6000, 40)) as unknown as JsonObject;
    await step('curate.near-dedupe@1', { dataset: rows });
    const { index = null } = await step('retrieve.index@1', {
      rows,
      indexed: 'documents',
      retriever: 'lexical',
      chunk: { maxWords: 20, overlapWords: 10 },
    });
    const questions = (await dataset('questions.jsonl', 60, 3)) as unknown as JsonObject;
    const { diagnostics } = await step('retrieve.recall@1', {
      index,
      retriever: 'lexical',
      rows: questions,
      at: [1],
    });
    const [recall] = diagnostics as readonly JsonObject[];
    assert.equal((recall?.['details'] as JsonObject)['rows'], 60);
  });
});
