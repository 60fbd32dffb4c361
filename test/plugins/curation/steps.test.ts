import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { CURATION_KINDS } from '../../../plugins/curation/contract.ts';
import { countingModel } from '../../../plugins/sdk/testing/counting-model.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';
import { Harness, csvOf } from './harness.ts';

interface Sample {
  readonly row: number;
  readonly reason: string;
  readonly input: string | null;
  readonly output: string | null;
}

suite('curation steps', () => {
  let harness: Harness;
  let files = 0;
  before(async () => {
    harness = await Harness.open();
  });
  after(() => harness.close());

  async function dataset(rows: readonly (readonly (string | null)[])[]): Promise<unknown> {
    files += 1;
    // JSON Lines keep empty texts and nulls apart.
    const lines = rows.map(([input, output]) => `${JSON.stringify({ in: input, out: output })}\n`).join('');
    return (await harness.read(await harness.file(`data-${files}.jsonl`, lines)))['dataset'];
  }

  async function texts(output: JsonObject): Promise<unknown[][]> {
    return (await harness.rows(output['dataset'])).map((row) => [row['id'], row['input'], row['output']]);
  }

  test('null-filter drops null, empty and blank texts and says why', async () => {
    const rows = [
      ['a', 'b'],
      [null, 'b'],
      ['', 'b'],
      ['\u00a0\t\n', 'b'],
      ['a', null],
      ['a', ''],
      ['a', '\u200b \ufeff'],
      ['0', '👍'],
    ];
    const output = await harness.run('curate.null-filter@1', { dataset: await dataset(rows) });
    assert.deepEqual(await texts(output), [
      ['r1', 'a', 'b'],
      ['r8', '0', '👍'],
    ]);
    assert.equal(output['rows'], 2);
    assert.equal(output['dropped'], 6);
    const samples = await harness.json<Sample[]>(output['droppedSamples']);
    assert.deepEqual(
      samples.map(({ row, reason }) => [row, reason]),
      [
        [2, 'input is null'],
        [3, 'input is empty'],
        [4, 'input is blank'],
        [5, 'output is null'],
        [6, 'output is empty'],
      ],
    );
    assert.deepEqual(samples[0], { row: 2, reason: 'input is null', input: null, output: 'b' });
  });

  test('samples are cut to 200 characters, never inside one', async () => {
    const output = await harness.run('curate.null-filter@1', {
      dataset: await dataset([['👍'.repeat(300), '']]),
    });
    const [sample] = await harness.json<Sample[]>(output['droppedSamples']);
    assert.equal(sample?.input, `${'👍'.repeat(199)}…`);
    assert.equal(output['rows'], 0);
  });

  test('normalise gives texts one form', async () => {
    const cases: [string, string][] = [
      ['  a \t b\u00a0 c ', 'a b c'],
      ['a\r\nb\rc\u2028d', 'a\nb\nc\nd'],
      ['a  \n  b\n\n\n\nc\n', 'a\nb\n\nc'],
      ['e\u0301', '\u00e9'],
      ['a\u0000b\u0007\u200bc\ufeff\u00add', 'abcd'],
      ['👨\u200d👩', '👨\u200d👩'],
      ['plain', 'plain'],
    ];
    const ref = await dataset(cases.map(([dirty]) => [dirty, 'same']));
    const output = await harness.run('curate.normalise@1', { dataset: ref });
    assert.deepEqual(
      (await texts(output)).map((row) => row[1]),
      cases.map(([, clean]) => clean),
    );
    assert.equal(output['changed'], 5);
    assert.equal(output['dropped'], 0);
    const again = await harness.run('curate.normalise@1', { dataset: output['dataset'] });
    assert.equal(again['changed'], 0);
    assert.deepEqual(again['dataset'], output['dataset']);
  });

  test('normalise keeps indentation of code', async () => {
    const ref = await dataset([['\n\ndef f():\r\n    return  1  \n\n', 'x']]);
    const output = await harness.run('curate.normalise@1', { dataset: ref, whitespace: 'code' });
    assert.equal((await texts(output))[0]?.[1], 'def f():\n    return  1');
  });

  test('exact-dedupe keeps first rows and counts conflicts', async () => {
    const ref = await dataset([
      ['Red  Shoe', 'Nice'],
      ['red shoe', ' NICE'],
      ['red shoe', 'Ugly'],
      ['blue', 'Nice'],
      ['Blue', 'nice'],
      ['redshoe', 'nice'],
      ['a', 'b c'],
      ['a b', 'c'],
    ]);
    const output = await harness.run('curate.exact-dedupe@1', { dataset: ref });
    assert.deepEqual(
      (await texts(output)).map((row) => row[0]),
      ['r1', 'r3', 'r4', 'r6', 'r7', 'r8'],
    );
    assert.equal(output['conflicts'], 1);
    const samples = await harness.json<Sample[]>(output['droppedSamples']);
    assert.equal(samples[0]?.reason, 'same input and output as row 1');
    assert.equal(samples[1]?.row, 5);
  });

  const filter = {
    model: { provider: 'testing', id: 'words' },
    task: { system: 'Be kind.', instruction: 'Describe it.' },
    maxPromptTokens: 7,
    maxAnswerTokens: 2,
  };

  test('token-filter counts with the model, prompt included, and drops what is longer', async () => {
    const model = countingModel();
    harness.model = model;
    const ref = await dataset([
      ['one two three', 'four five'],
      ['one two three four', 'x'],
      ['one', 'two three four'],
    ]);
    const output = await harness.run('curate.token-filter@1', { ...filter, dataset: ref });
    assert.deepEqual(await texts(output), [['r1', 'one two three', 'four five']]);
    assert.deepEqual(output['tokens'], {
      promptP50: 7,
      promptP95: 8,
      answerP50: 2,
      answerP95: 3,
      maxPrompt: 8,
      maxAnswer: 3,
    });
    const samples = await harness.json<Sample[]>(output['droppedSamples']);
    assert.deepEqual(
      samples.map((sample) => sample.reason),
      ['prompt has 8 tokens, at most 7 allowed', 'answer has 3 tokens, at most 2 allowed'],
    );
    const [first] = model.requests[0]?.rows ?? [];
    assert.deepEqual(first?.messages, [
      { role: 'system', content: 'Be kind.' },
      { role: 'user', content: 'Describe it.\none two three' },
    ]);
  });

  test('token-filter drops what leaves no room for an answer in the context of the model', async () => {
    const ref = await dataset([
      ['one two three', 'four five'],
      ['one two', 'x'],
    ]);
    // Seven tokens of a prompt, two of an answer.
    for (const [contextTokens, rows] of [
      [9, 2],
      [8, 1],
    ] as const) {
      harness.model = countingModel('words', { contextTokens });
      const output = await harness.run('curate.token-filter@1', { ...filter, dataset: ref });
      assert.equal(output['rows'], rows, `a context of ${contextTokens}`);
      const samples = await harness.json<Sample[]>(output['droppedSamples']);
      assert.deepEqual(
        samples.map(({ reason }) => reason),
        rows === 2 ? [] : ["prompt has 7 tokens, with 2 of an answer more than the model's context of 8"],
      );
    }
    harness.model = countingModel();
  });

  test('token-filter counts in pieces and its cache key follows the model', async () => {
    const model = countingModel();
    harness.model = model;
    const ref = await dataset(Array.from({ length: 3000 }, (_, index) => [`in ${index}`, 'out']));
    const output = await harness.run('curate.token-filter@1', { ...filter, dataset: ref });
    assert.equal(output['rows'], 3000);
    assert.ok(model.requests.length >= 12 && model.requests.every(({ rows }) => rows.length <= 256));
    const salt = await harness.salt('curate.token-filter@1', { ...filter, dataset: ref });
    harness.model = countingModel('others');
    assert.notEqual(await harness.salt('curate.token-filter@1', { ...filter, dataset: ref }), salt);
    harness.model = countingModel('mute', { count: false });
    await assert.rejects(harness.run('curate.token-filter@1', { ...filter, dataset: ref }), {
      code: 'MODEL_CAPABILITY_MISSING',
      message: /"mute" of provider "testing" lacks the capability "countTokens"/,
    });
    const kept = { ...filter, dataset: ref, whenUncountable: 'keep' };
    const uncounted = await harness.run('curate.token-filter@1', kept);
    assert.deepEqual([uncounted['rows'], uncounted['tokens']], [3000, null]);
    harness.model = countingModel();
    assert.notEqual((await harness.run('curate.token-filter@1', kept))['tokens'], null);
  });

  test('every step takes an empty dataset', async () => {
    const empty = { dataset: (await harness.read(await harness.file('none.csv', 'in,out\n')))['dataset'] };
    for (const kind of ['null-filter', 'normalise', 'exact-dedupe']) {
      assert.equal((await harness.run(`curate.${kind}@1`, empty))['rows'], 0, kind);
    }
    assert.equal((await harness.run('curate.token-filter@1', { ...filter, ...empty }))['rows'], 0);
  });

  test('refuses artifacts that are no datasets', async () => {
    const text = await harness.store.putBytes(Buffer.from('hello'), 'text/plain');
    await assert.rejects(harness.run('curate.null-filter@1', { dataset: text }), {
      code: 'DATA_UNREADABLE',
      message: /not a Parquet file/,
    });
    const missing = { ...text, sha256: 'a'.repeat(64), uri: `artifact:sha256:${'a'.repeat(64)}` };
    await assert.rejects(harness.run('curate.normalise@1', { dataset: missing }), {
      code: 'ARTIFACT_MISSING',
    });
    await harness.file('table.csv', csvOf([['a', 'b']]));
  });

  test('all kinds that need no model to write are scheduled alike', () => {
    assert.deepEqual(
      harness
        .kinds()
        .map(({ kind }) => kind)
        .sort(),
      Object.values(CURATION_KINDS).sort(),
    );
    for (const kind of harness.kinds().filter((one) => one.resource === 'cpu')) {
      const { resource, retry, cacheable, startToCloseTimeoutMs, heartbeatTimeoutMs } = kind;
      assert.deepEqual(
        { resource, retry, cacheable, startToCloseTimeoutMs, heartbeatTimeoutMs },
        {
          resource: 'cpu',
          retry: 'idempotentWrite',
          cacheable: true,
          startToCloseTimeoutMs: 1_800_000,
          heartbeatTimeoutMs: 10_000,
        },
      );
      assert.ok((kind.summarize?.({}) ?? kind.title).length > 0);
    }
  });
});
