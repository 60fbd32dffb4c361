/** What `escada export` starts: a pipeline that compiles as it is. */
import assert from 'node:assert/strict';
import { after, suite, test } from 'node:test';
import { compilePipelineSpec } from '../../../core/compile/compile-pipeline-spec.ts';
import { exportSpec } from '../../../cli/lib/export-spec.ts';
import { createProjectHost } from '../../../plugins.ts';
import { exportFormatSchema } from '../../../schemas/spec/export-format.ts';
import { reportPlace } from '../../core/report/fixture.ts';

suite('the pipeline of an export', () => {
  const host = createProjectHost();
  after(() => host.close());

  test('compiles, with the adapter and the answered rows of what won', async () => {
    const place = await reportPlace();
    const { data } = place;
    try {
      const winner = data.candidates.find(({ id }) => id === data.decision.candidateId);
      for (const format of exportFormatSchema.options) {
        const shards = format.startsWith('gguf') ? {} : { maxShardBytes: 5e9 };
        const spec = exportSpec(data, { format, base: 'stored', maxDriftNats: 0.5, ...shards });
        const [node] = compilePipelineSpec(spec, host).plan.nodes;
        assert.ok(node?.form === 'step');
        const { adapter, check, model, base, maxShardBytes } = node.with as Record<string, unknown>;
        assert.deepEqual([adapter, model, base], [winner?.adapter, data.plan.spec.model, 'stored']);
        assert.equal(maxShardBytes, format.startsWith('gguf') ? undefined : 5e9);
        if (format === 'gguf-lora') assert.equal(check, null);
        else assert.equal((check as { maxDriftNats: number }).maxDriftNats, 0.5);
      }
    } finally {
      await place.close();
    }
  });

  test('says when what won has no adapter', async () => {
    const place = await reportPlace();
    const { data } = place;
    await place.close();
    const without = { ...data, candidates: data.candidates.map((one) => ({ ...one, adapter: null })) };
    assert.throws(() => exportSpec(without, { format: 'gguf-q8_0', base: 'trained' }), {
      code: 'EXPORT_NO_ADAPTER',
    });
  });
});
