import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  judge,
  namesOf,
  numbersOf,
  similarity,
  unquoted,
} from '../../../plugins/curation/worker/paraphrase/judge.ts';
import { answeringModel } from '../../../plugins/sdk/testing/answering-model.ts';
import type { Answer } from '../../../plugins/sdk/testing/answering-model.ts';
import { MODEL_STEP } from '../../../plugins/sdk/model-step.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';
import { Harness, csvOf } from './harness.ts';
import { issuesOf } from '../../../plugins/sdk/schema-check/check-value.ts';

const KIND = 'curate.paraphrase@1';
const MODEL = { provider: 'testing', id: 'answers' };
const RULES = { maxSimilarity: 0.9, minSimilarity: 0.1, maxLengthRatio: 2 };

suite('rules of curate.paraphrase@1', () => {
  const parent = 'The parcel that Maria sent on 12 May weighs 3.5 kilos and has not arrived';
  const verdict = (text: string, finish = 'stop') => judge(parent, { text, finish }, RULES)?.code ?? null;

  test('take what says the same in other words', () => {
    assert.equal(verdict("Maria's parcel, sent on 12 May and 3.5 kilos in weight, has not come yet"), null);
    assert.equal(verdict('Not arrived so far: the 3.5 kilos parcel sent by Maria on May 12'), null);
  });

  test('reject, each for its reason', () => {
    assert.equal(verdict(' \n'), 'empty');
    assert.equal(verdict('The parcel of Maria, sent on 12 May, weighs 3.5', 'length'), 'cut');
    assert.equal(verdict(`${parent.toUpperCase()}  `), 'copy');
    assert.equal(verdict(`${parent}.`), 'copy');
    assert.equal(verdict('Maria 12 3.5 May'), 'length');
    assert.equal(verdict('Maria sent a parcel in May; at 3.5 kilos it has not arrived'), 'numbers');
    assert.equal(verdict('On 12 May Maria sent a parcel of 3.5 kilos, 2 days late, not arrived'), 'numbers');
    assert.equal(verdict('She sent the parcel on 12 May; it weighs 3.5 kilos and is not here'), 'names');
    assert.equal(verdict('Maria may buy 12 big fluffy dogs, or 3.5 cups of sugar: who would mind?'), 'drift');
  });

  test('know numbers and names', () => {
    assert.deepEqual(numbersOf('3.5 kg, 12:30, 3.5 and 1,000'), ['1,000', '12:30', '3.5']);
    assert.deepEqual(
      namesOf('When does our friend Anna fly? Tomorrow, as far as I know, to Oslo with SAS.'),
      ['anna', 'oslo', 'sas'],
    );
    assert.deepEqual(namesOf('Tall Narrow Storage Cabinet With USB Port, Model X200'), ['usb', 'x200']);
    assert.equal(similarity('abc', 'abc'), 1);
    assert.equal(similarity('', 'abcdef'), 0);
    assert.equal(unquoted(' "Where is it?" '), 'Where is it?');
    assert.equal(unquoted('"a" and "b"'), '"a" and "b"');
  });
});

suite('curate.paraphrase@1', () => {
  let harness: Harness;
  before(async () => {
    harness = await Harness.open();
  });
  after(() => harness.close());

  const inputs = [
    'how do I send my parcel back to the shop',
    'where can I see the status of my order',
    'when will the money arrive in my account',
  ];
  const better: Record<string, string> = {
    'how do I send my parcel back to the shop': 'what must I do to send a parcel back to your shop',
    'where can I see the status of my order': 'on which page can I see my order and its status',
    'when will the money arrive in my account': 'how long until my account shows that money will arrive',
  };
  const inputOf = (messages: readonly { content: string }[]) => messages.at(-1)?.content.split('\n')[1] ?? '';

  async function run(
    answer: (text: string, id: string) => Answer | Promise<Answer>,
    options: JsonObject = {},
  ) {
    harness.model = answeringModel(({ id, messages }) => answer(inputOf(messages), id));
    const rows = inputs.map((input, index) => [input, `answer ${index}`, `g${index}`, 'faq']);
    const columns = { input: 'in', output: 'out', group: 'g', category: 'kind' };
    const { dataset } = await harness.read(
      await harness.file('rows.csv', csvOf(rows, 'in,out,g,kind')),
      columns,
    );
    const output = await harness.run(KIND, { dataset, model: MODEL, ...options });
    const left = await harness.rows(output['dataset']);
    assert.equal(left.length, output['rows']);
    assert.equal(Number(output['rows']), inputs.length + Number(output['made']) - Number(output['dropped']));
    const rejected = Object.values(output['rejected'] as Record<string, number>);
    assert.equal(
      rejected.reduce((sum, one) => sum + one, 0),
      output['dropped'],
    );
    return { output, left };
  }

  test('adds rows with the same output, group and category, and the original as parent', async () => {
    const { output, left } = await run((text) => `"${better[text] ?? ''}"`);
    assert.deepEqual([output['made'], output['accepted'], output['dropped']], [3, 3, 0]);
    const added = left.slice(3);
    assert.deepEqual(
      added.map(({ row }) => row),
      ['4', '5', '6'],
    );
    for (const row of added) {
      const origin = left.find(({ id }) => id === row['parent']);
      assert.equal(row['input'], better[origin?.['input'] as string]);
      assert.equal(row['id'], `${row['parent'] as string}.p1`);
      for (const name of ['output', 'grp', 'category']) assert.equal(row[name], origin?.[name]);
    }
    assert.ok(left.slice(0, 3).every((row) => row['parent'] === null));
  });

  test('counts what it rejects by rule and shows one of each', async () => {
    const answers: Answer[] = [
      '',
      { text: 'how do I', finish: 'length' },
      'send it back 5 times to the shop of my parcel',
    ];
    const { output } = await run(
      (text, id) => (text === inputs[0] ? (answers[Number(id.at(-1)) - 1] ?? '') : text),
      {
        copies: 3,
      },
    );
    assert.deepEqual(output['rejected'], {
      ...{ empty: 1, cut: 1, copy: 6, length: 0, numbers: 1, names: 0, drift: 0, repeat: 0 },
    });
    const samples = await harness.json<{ reason: string; input: string }[]>(output['droppedSamples']);
    assert.equal(samples.length, 5);
    for (const word of ['empty', 'cut off', 'nearly the original', 'added the number 5']) {
      assert.equal(samples.filter(({ reason }) => reason.includes(word)).length >= 1, true, word);
    }
  });

  test('a text that is there already is no new row', async () => {
    const twice = await run((text) => better[text] ?? '', { copies: 2 });
    assert.deepEqual([twice.output['accepted'], (twice.output['rejected'] as JsonObject)['repeat']], [3, 3]);
    const other = await run((text) => (text === inputs[0] ? (inputs[1] ?? '') : (better[text] ?? '')), {
      minSimilarity: 0,
    });
    assert.equal((other.output['rejected'] as JsonObject)['repeat'], 1);
  });

  test('paraphrases only originals, as many as asked for, each copy under an id of its own', async () => {
    const first = await run((text) => better[text] ?? '', { parents: 2, copies: 2, seed: 3 });
    const { generated } = harness.model as ReturnType<typeof answeringModel>;
    const [request] = generated;
    assert.equal(new Set(request?.rows.map(({ id }) => id)).size, 4);
    assert.deepEqual([request?.temperature, request?.topP, request?.seed], [0.8, 0.95, 3]);
    assert.match(request?.rows[0]?.messages.at(-1)?.content ?? '', /^Say the following in other words\./);
    const dataset = first.output['dataset'] ?? null;
    const again = await harness.run(KIND, { dataset, model: MODEL });
    assert.equal(again['made'], 3);
  });

  test('families stay in one split', async () => {
    const many = Array.from({ length: 40 }, (_, index) => [
      `please tell me about item ${index} in the list`,
      `a${index}`,
    ]);
    const { dataset } = await harness.read(await harness.file('many.csv', csvOf(many)));
    harness.model = answeringModel(({ messages }) => {
      const number = /\d+/.exec(inputOf(messages))?.[0] ?? '';
      return `what do you know about the list and its item ${number}`;
    });
    const output = await harness.run(KIND, { dataset, model: MODEL });
    assert.equal(output['accepted'], 40);
    const sizes = { train: 40, dev: 20, test: 20 };
    const split = await harness.run('curate.split@1', { dataset: output['dataset'] ?? null, sizes, seed: 2 });
    assert.equal(split['groups'], 40);
    for (const name of ['train', 'dev', 'test']) {
      const families = (await harness.rows(split[name])).map(({ id, parent }) => parent ?? id ?? null);
      assert.equal(new Set(families).size, families.length / 2, name);
    }
  });

  test('its cache key follows the model; it is scheduled where the model is', async () => {
    const { dataset } = (await run((text) => text)).output;
    const input = { dataset: dataset ?? null, model: MODEL };
    const salt = await harness.salt(KIND, input);
    harness.model = answeringModel(() => '', 'another');
    assert.notEqual(await harness.salt(KIND, input), salt);
    const { resource, retry, cacheable, heartbeatTimeoutMs } = harness.kind(KIND);
    assert.deepEqual(
      { resource, retry, cacheable, heartbeatTimeoutMs },
      {
        resource: MODEL_STEP.resource,
        retry: MODEL_STEP.retry,
        cacheable: true,
        heartbeatTimeoutMs: 10_000,
      },
    );
  });

  test('refuses options out of range', async () => {
    const { dataset } = (await run((text) => text)).output;
    const { withSchema } = harness.kind(KIND);
    for (const options of [{ copies: 0 }, { temperature: 0 }, { maxSimilarity: 2 }, { model: 'x' }]) {
      const [issue] = issuesOf(withSchema, { dataset, model: MODEL, ...options });
      assert.equal(issue?.path[0], Object.keys(options)[0]);
    }
  });

  test('stops at once when it is cancelled', async () => {
    const other = await Harness.open();
    try {
      const { dataset } = await other.read(
        await other.file('rows.csv', csvOf([['a question of mine', 'b']])),
      );
      other.model = answeringModel(async () => {
        other.abort();
        await sleep(10);
        return 'my own question';
      });
      const started = performance.now();
      await assert.rejects(other.run(KIND, { dataset, model: MODEL, copies: 8 }), /cancelled by the test/);
      assert.ok(performance.now() - started < 2000);
    } finally {
      await other.close();
    }
  });
});
