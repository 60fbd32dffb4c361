/** What of an export is refused before a run spends anything on it. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { compilePipelineSpec } from '../../../../core/compile/compile-pipeline-spec.ts';
import { requireFaithful } from '../../../../plugins/steps/llm/export-model.ts';
import { createProjectHost } from '../../../../plugins.ts';

const host = createProjectHost();
const ADAPTER = {
  uri: `artifact:sha256:${'a'.repeat(64)}`,
  sha256: 'a'.repeat(64),
  sizeBytes: 12,
  mediaType: 'x',
};

const exporting = (options: object) => {
  const model = { provider: 'nf4-lora', id: 'tiny' };
  const step = { model, adapter: ADAPTER, format: 'gguf-q8_0', base: 'trained', check: null, ...options };
  const nodes = [{ id: 'export', form: 'step', uses: 'model.export@1', with: step }];
  return compilePipelineSpec({ name: 'export', nodes }, host);
};

test('an export is refused when it answers too differently, or with what is no number', () => {
  const check = {
    predictions: ADAPTER,
    recipe: { system: '', instruction: '', demonstrations: null, retrieval: null },
    maxNewTokens: 4,
    rowsLimit: 8,
  };
  const far = (logProbDifferenceNats: number | null, maxDriftNats?: number) => () => {
    const drift = { rows: 8, equalAnswers: 5, logProbDifferenceNats };
    const limited = maxDriftNats === undefined ? check : { ...check, maxDriftNats };
    requireFaithful({ format: 'gguf-f16', check: limited }, { drift });
  };
  far(0.01, 0.01)();
  assert.throws(far(0.011, 0.01), {
    code: 'EXPORT_DRIFT',
    message: /is 0\.0110 nats per token away.*5 of 8/,
  });
  assert.throws(far(null), { code: 'EXPORT_DRIFT', message: /not a finite number of nats per token away/ });
});

suite('the options of an export', () => {
  after(() => host.close());

  test('shards are for folders, an adapter alone needs one', () => {
    const refused = (options: object, message: RegExp): void => {
      assert.throws(() => exporting(options), { code: 'INVALID_SPEC', message });
    };
    for (const format of ['gguf-f32', 'gguf-q8_0', 'gguf-lora'])
      refused(
        { format, maxShardBytes: 5e9 },
        /nodes\[0\]\.with\.maxShardBytes: a GGUF file is not cut into shards/,
      );
    refused({ format: 'safetensors-f16', maxShardBytes: 0 }, /with\.maxShardBytes: /);
    refused({ format: 'gguf-lora', adapter: null }, /with\.adapter: gguf-lora writes an adapter/);
    exporting({ format: 'safetensors-f16', maxShardBytes: 5e9 });
    exporting({ format: 'bnb-4bit', maxShardBytes: 5e9, adapter: null });
    exporting({ format: 'gguf-lora' });
  });
});
