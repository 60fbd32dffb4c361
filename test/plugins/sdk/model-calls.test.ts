/** Answers belong to prompts by their ids, and a model is asked for what it has. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { LanguageModelV1, ModelAnswer } from '../../../plugins/sdk/contracts/language-model.ts';
import {
  capabilitiesOf,
  countTokens,
  embed,
  generate,
  methodOf,
  NO_USAGE,
  score,
  sumUsage,
  usageOf,
} from '../../../plugins/sdk/model-calls.ts';
import { modelSalt } from '../../../plugins/sdk/model-salt.ts';
import type { ModelRef } from '../../../schemas/common/model-ref.ts';

const { signal } = new AbortController();
const rows = ['a', 'b', 'c'].map((id) => ({ id, messages: [{ role: 'user' as const, content: id }] }));
const usage = { promptTokens: 2, completionTokens: 1 };
const answer = (id: string): ModelAnswer => ({ id, text: `to ${id}`, finish: 'stop', usage });

/** A model that gives these answers, whatever it is asked. */
const giving = (ids: readonly string[], more: Partial<LanguageModelV1> = {}): LanguageModelV1 => ({
  specificationVersion: 'v1',
  provider: 'outside',
  modelId: 'small',
  doGenerate: async () => ({ answers: ids.map(answer), seconds: 1 }),
  ...more,
});

suite('calls of a model', () => {
  test('answers come in the order of the prompts, whatever order they were given in', async () => {
    const { answers, seconds } = await generate(giving(['c', 'a', 'b']), { rows, signal });
    assert.deepEqual(
      answers.map(({ id, text }) => [id, text]),
      ['a', 'b', 'c'].map((id) => [id, `to ${id}`]),
    );
    assert.equal(seconds, 1);
  });

  test('a missing, doubled or foreign answer fails and names provider, model and row', async () => {
    for (const [ids, row, problem] of [
      [['a', 'c'], 'b', 'was not answered'],
      [['a', 'b', 'c', 'b'], 'b', 'answered twice'],
      [['a', 'b', 'c', 'd'], 'd', 'no such row'],
    ] as const) {
      await assert.rejects(generate(giving(ids), { rows, signal }), {
        code: 'MODEL_ANSWERS_MISMATCHED',
        message: new RegExp(
          `doGenerate of model "small" \\(provider "outside"\\): row "${row}": .*${problem}`,
        ),
        fields: { provider: 'outside', model: 'small', method: 'doGenerate', row },
      });
    }
    const twice = [...rows, ...rows.slice(0, 1)];
    await assert.rejects(generate(giving(['a', 'b', 'c']), { rows: twice, signal }), /row twice/);
  });

  test('so do scores, counts and vectors', async () => {
    const scoring = (ids: readonly string[], continuations = 1): LanguageModelV1 =>
      giving([], {
        doScore: async () => ({
          scores: ids.map((id) => ({
            id,
            continuations: Array.from({ length: continuations }, () => ({ logProbNats: -1, tokens: 1 })),
          })),
          seconds: 0,
        }),
        doCountTokens: async () => ({
          counts: ids.map((id) => ({ id, promptTokens: id.charCodeAt(0), answerTokens: 0 })),
        }),
        doEmbed: async () => ({
          embeddings: ids.map((id) => ({ id, vector: new Float32Array([id.charCodeAt(0)]), tokens: 1 })),
          seconds: 0,
        }),
      });
    const asked = { rows: rows.map((row) => ({ ...row, continuations: ['x'] })), signal };
    const texts = { rows: rows.map(({ id }) => ({ id, text: id })), signal };
    const shuffled = scoring(['b', 'c', 'a']);
    const ids = (all: readonly { readonly id: string }[]) => all.map(({ id }) => id);
    assert.deepEqual(ids((await score(shuffled, asked)).scores), ['a', 'b', 'c']);
    assert.deepEqual(ids((await embed(shuffled, texts)).embeddings), ['a', 'b', 'c']);
    const counts = await countTokens(shuffled, { rows, signal });
    assert.deepEqual(
      counts.map(({ promptTokens }) => promptTokens),
      [97, 98, 99],
    );
    const short = scoring(['a', 'b']);
    const mismatch = { code: 'MODEL_ANSWERS_MISMATCHED', message: /row "c"/ };
    await assert.rejects(score(short, asked), mismatch);
    await assert.rejects(countTokens(short, { rows, signal }), mismatch);
    await assert.rejects(embed(short, texts), mismatch);
    await assert.rejects(score(scoring(['a', 'b', 'c'], 2), asked), /2 of 1 continuations/);
  });

  test('what a model can do is what methods it has; the rest is one coded failure', async () => {
    const bare = giving([]);
    assert.deepEqual(new Set(Object.values(capabilitiesOf(bare))), new Set([false]));
    const located = giving([], { doLocateWeights: async () => '/models/small' });
    assert.equal(capabilitiesOf(located).locateWeights, true);
    assert.equal(await methodOf(located, 'locateWeights')(), '/models/small');
    const scored = score(bare, { rows: [], signal });
    await assert.rejects(scored, {
      code: 'MODEL_CAPABILITY_MISSING',
      message: /model "small" of provider "outside" lacks the capability "score" \(doScore\)/,
      fields: { provider: 'outside', model: 'small', capability: 'score' },
    });
  });

  test('a method keeps its object', async () => {
    class Located {
      readonly path = '/here';
      async doLocateWeights(): Promise<string> {
        return this.path;
      }
    }
    const model = Object.assign(new Located(), giving([]));
    assert.equal(await methodOf(model, 'locateWeights')(), '/here');
  });

  test('usage is summed over answers and over calls; money is there where it was spent', () => {
    const none = { trainingTokens: 0, peakMemoryBytes: null };
    const free = usageOf({ answers: [answer('a'), answer('b')], seconds: 3 });
    assert.deepEqual(free, { promptTokens: 4, completionTokens: 2, seconds: 3, ...none });
    const paid = usageOf({
      answers: [{ usage: { ...usage, costUsd: 0.25 } }],
      seconds: 1,
      peakMemoryBytes: 7,
    });
    assert.deepEqual(sumUsage([NO_USAGE, free, paid]), {
      promptTokens: 6,
      completionTokens: 3,
      trainingTokens: 0,
      seconds: 4,
      peakMemoryBytes: 7,
      costUsd: 0.25,
    });
    const scored = usageOf({ seconds: 2, costUsd: 0.5 }, { promptTokens: 9 });
    assert.deepEqual([scored.promptTokens, scored.costUsd, scored.seconds], [9, 0.5, 2]);
  });
});

suite('cache salt of a model', () => {
  const salt = (model: LanguageModelV1, ref: Partial<ModelRef> = {}) =>
    modelSalt(
      { model: { provider: 'outside', id: 'small', options: {}, ...ref } },
      { languageModel: () => model },
      signal,
    );

  test('is the identity that the model states', async () => {
    assert.equal(await salt(giving([], { doDescribe: async () => ({ cacheKey: 'w1 b2' }) })), 'w1 b2');
  });

  test('is provider, id and options where it states none', async () => {
    const all = await Promise.all([
      salt(giving([])),
      salt(giving([]), { id: 'large' }),
      salt(giving([]), { provider: 'others' }),
      salt(giving([]), { options: { region: 'eu' } }),
    ]);
    assert.equal(new Set(all).size, 4);
    assert.equal(await salt(giving([])), all[0]);
  });
});
