import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { JsonObject } from '../../../schemas/common/json.ts';
import { Harness } from './harness.ts';

const KIND = 'curate.normalise-output@1';

suite('curate.normalise-output@1', () => {
  let harness: Harness;
  before(async () => {
    harness = await Harness.open();
  });
  after(() => harness.close());

  async function run(outputs: readonly (string | null)[], options: JsonObject = {}) {
    const lines = outputs.map((out) => `${JSON.stringify({ in: 'x', out })}\n`).join('');
    const { dataset } = await harness.read(await harness.file('rows.jsonl', lines));
    const output = await harness.run(KIND, { dataset, ...options });
    const texts = (await harness.rows(output['dataset'])).map((row) => row['output']);
    return { output, texts };
  }

  test('gives every output one form and counts what each rule changed', async () => {
    const cases: [string, string][] = [
      ['plain text.', 'plain text.'],
      ['a\r\nb\rc', 'a\nb\nc'],
      ['e\u0301', '\u00e9'],
      ['a  \nb\t', 'a\nb'],
      ['```json\n{"a": 1}\n```\n', '{"a": 1}'],
      ['```\na\n```\nand\n```\nb\n```', '```\na\n```\nand\n```\nb\n```'],
      ['see:\n```\na\n\n\n\nb\n```', 'see:\n```\na\n\n\n\nb\n```'],
      ['a\n\n\n\nb', 'a\n\nb'],
      ['\n\n  indented\nline\n\n', '  indented\nline'],
      ['“quoted” – it’s…', '“quoted” – it’s…'],
    ];
    const { output, texts } = await run(cases.map(([dirty]) => dirty));
    assert.deepEqual(
      texts,
      cases.map(([, clean]) => clean),
    );
    assert.deepEqual(output['changes'], {
      lineEnds: 1,
      unicode: 1,
      punctuation: 0,
      trailingSpaces: 1,
      codeFences: 1,
      blankLines: 1,
      edges: 1,
    });
    assert.equal(output['changed'], 6);
    const again = await harness.run(KIND, { dataset: output['dataset'] ?? null });
    assert.equal(again['changed'], 0);
    assert.deepEqual(again['dataset'], output['dataset']);
  });

  test('follows its options', async () => {
    const text = '“It’s – fine…”\u00a0\n\n\n```\nx\n```';
    const one = async (options: JsonObject, from = text) => (await run([from], options)).texts[0];
    assert.equal(await one({ punctuation: 'ascii' }), '"It\'s - fine..."\n\n\n```\nx\n```');
    assert.equal(await one({ finalNewline: 'one' }, 'a\n\n'), 'a\n');
    assert.equal(await one({ codeFences: 'keep' }, '```\na\n```'), '```\na\n```');
    assert.equal(await one({ maxBlankLines: 0 }, 'a\n\nb'), 'a\nb');
    assert.equal(await one({ unicode: 'keep' }, 'e\u0301'), 'e\u0301');
  });

  test('says which forms there are and drops those that do not fit', async () => {
    const forms = {
      json: ['{"a": [1]}', '[1, 2]'],
      code: ['see\n```\nx\n```'],
      list: ['- a\n- b', '1. a\n2. b', '* a\n\n* b'],
      lines: ['a\nb', '- a\nb'],
      sentence: ['It is fine.', 'Is it? (Yes.)', '良い。'],
      phrase: ['good', '{not json', ''],
    };
    const { output } = await run(Object.values(forms).flat());
    assert.deepEqual(
      output['formats'],
      Object.fromEntries(Object.entries(forms).map(([form, texts]) => [form, texts.length])),
    );
    assert.equal(output['consistency'], 0.2143);
    const strict = await run(Object.values(forms).flat(), { require: 'json' });
    assert.deepEqual(strict.texts, forms.json);
    assert.equal(strict.output['dropped'], 12);
    const [sample] = await harness.json<{ reason: string }[]>(strict.output['droppedSamples']);
    assert.equal(sample?.reason, 'the output has the form code, not json');
  });

  test('drops outputs of which nothing is left, takes nulls and empty datasets', async () => {
    const { output, texts } = await run(['```\n```', null, 'a']);
    assert.deepEqual(texts, [null, 'a']);
    const [sample] = await harness.json<{ reason: string }[]>(output['droppedSamples']);
    assert.equal(sample?.reason, 'nothing is left of the output');
    const { dataset } = await harness.read(await harness.file('none.csv', 'in,out\n'));
    const none = await harness.run(KIND, { dataset: dataset ?? null });
    assert.deepEqual([none['rows'], none['consistency']], [0, 1]);
  });
});
