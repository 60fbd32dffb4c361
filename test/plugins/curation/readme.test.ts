import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { pipelineSpecSchema } from '../../../schemas/spec/pipeline-spec.ts';
import { checkExample, codeBlock } from './readme-examples.ts';

suite('README pages', () => {
  test('curation: the example prints what the page says', () => checkExample('plugins/curation/README.md'));

  test('retrieval: the example prints what the page says', () => checkExample('plugins/retrieval/README.md'));

  test('curation: the pipeline is valid', async () => {
    const spec: unknown = JSON.parse(await codeBlock('plugins/curation/README.md', 'json'));
    assert.equal(pipelineSpecSchema.parse(spec).nodes.length, 3);
  });
});
