import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { byCost, costPerAnswer } from '../../../core/decide/by-cost.ts';
import { Registry } from '../../../plugins/host/registry.ts';
import { countingModel } from '../../../plugins/sdk/testing/counting-model.ts';
import type { DecideInput } from '../../../schemas/plan/control-activities.ts';
import { reportPlace } from '../report/fixture.ts';

const registry = new Registry();
registry.registrarFor('test', '1.0.0').addLanguageModelProvider({
  id: 'nf4-lora',
  resource: 'cpu',
  billable: false,
  optionsSchema: z.strictObject({}),
  assumedTokensPerSecond: { prompt: 100, generate: 10, train: 1 },
  open: ({ id }) => countingModel(id),
});

type Finalist = DecideInput['finalists'][number];

/** Finalists of ten answers each: tokens of prompts and answers, place, and seconds that were measured. */
async function finalists(
  ...all: readonly (readonly [
    id: string,
    prompt: number,
    completion: number,
    order: number | null,
    seconds: number,
  ])[]
): Promise<Finalist[]> {
  const place = await reportPlace();
  await place.close();
  const [candidate] = place.data.candidates;
  assert.ok(candidate !== undefined);
  return all.map(([id, promptTokens, completionTokens, order, seconds]) => {
    const usage = { ...candidate.dev.usage, promptTokens, completionTokens, seconds };
    return { candidate: { ...candidate, id }, order, score: { ...candidate.dev, n: 10, usage } };
  });
}

const idsOf = (all: readonly Finalist[]) => byCost(all, registry).map(({ candidate }) => candidate.id);

test('the cheapest finalist is the one with the fewest tokens, weighed by what they take', async () => {
  const all = await finalists(
    ['long-prompt', 1000, 20, 0, 1],
    ['long-answer', 100, 120, 1, 1],
    ['short', 100, 20, 2, 1],
  );
  const costs = all.map((one) => costPerAnswer(one, registry));
  assert.deepEqual(costs, [1.2, 1.3, 0.3]);
  assert.deepEqual(idsOf(all), ['short', 'long-prompt', 'long-answer']);
});

test('a busy machine changes nothing, and equal costs follow the places', async () => {
  const all = await finalists(
    ['own', 100, 20, null, 1],
    ['late', 100, 20, 300, 1],
    ['slow', 100, 20, 0, 900],
  );
  assert.deepEqual(idsOf(all), ['slow', 'late', 'own']);
});
