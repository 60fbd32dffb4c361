/** Paraphrases by the real model: that its answers come through, are judged and leave a dataset that adds up. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { suite, test } from 'node:test';
import { createPluginHost } from '../../plugins/host/host.ts';
import { createNf4LoraPlugin } from '../../plugins/nf4-lora/index.ts';
import { addonPath } from '../../plugins/nf4-lora/worker/spawn-child.ts';
import { Harness, csvOf } from '../plugins/curation/harness.ts';
import { findRealModel, REAL_MODEL_ID } from './support/needs.ts';

const skip =
  (await findRealModel()) === null
    ? `the model ${REAL_MODEL_ID} is not on this machine`
    : !existsSync(addonPath()) && 'the native engine is not built';

const QUESTIONS = [
  'How can I return a jacket that is too small for me?',
  'Which payment methods do you take in your shop?',
  'My parcel has not arrived although it was sent 9 days ago.',
  'Can I change the delivery address after I have ordered?',
  'Do you send presents to other countries as well?',
  'The lamp I bought does not work, what should I do?',
];

suite('paraphrases with the real model', { skip }, () => {
  test('some answers are good, every one is judged, and the run can be repeated', async (context) => {
    const host = createPluginHost([{ plugin: createNf4LoraPlugin() }]);
    const harness = await Harness.open();
    try {
      const model = { provider: 'nf4-lora', id: REAL_MODEL_ID, options: {} };
      harness.model = host.registry.languageModel(model);
      const rows = QUESTIONS.map((question, index) => [question, `answer ${index}`]);
      const { dataset } = await harness.read(await harness.file('rows.csv', csvOf(rows)));
      const options = {
        dataset: dataset ?? null,
        model,
        copies: 3,
        maxNewTokens: 40,
        seed: 2,
        maxLengthRatio: 3,
      };
      const output = await harness.run('curate.paraphrase@1', options);
      const left = await harness.rows(output['dataset']);
      const { made, accepted, dropped, rejected } = output;
      context.diagnostic(JSON.stringify({ made, accepted, rejected }));
      for (const row of left.slice(QUESTIONS.length))
        context.diagnostic(`${row['parent'] as string}: ${row['input'] as string}`);
      assert.deepEqual([made, Number(accepted) + Number(dropped)], [18, 18]);
      assert.equal(left.length, QUESTIONS.length + Number(accepted));
      assert.ok(Number(accepted) > 0, 'the model gave no usable paraphrase');
      const again = await harness.run('curate.paraphrase@1', options);
      assert.deepEqual(again['dataset'], output['dataset']);
    } finally {
      await harness.close();
      await host.close();
    }
  });
});
