/** The funnel of the data, for step kinds that a plugin from outside brings. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { artifactRefSchema, rowCountsSchema, type PluginV1, type StepKindV1 } from '../../../plugin-api.ts';
import { compilePipelineSpec } from '../../../core/compile/compile-pipeline-spec.ts';
import { funnelSteps } from '../../../core/report/funnel.ts';
import { FileStore } from '../../../core/store/file-store.ts';
import { createProjectHost } from '../../../plugins.ts';
import type { JsonValue } from '../../../schemas/common/json.ts';

const outputSchema = rowCountsSchema.extend({ dataset: artifactRefSchema.optional() });

const kind = (name: string, countsRows: boolean): StepKindV1 => ({
  specificationVersion: 'v1',
  kind: name,
  title: name,
  resource: 'cpu',
  retry: 'readOnly',
  cacheable: true,
  startToCloseTimeoutMs: 60_000,
  heartbeatTimeoutMs: 10_000,
  withSchema: z.strictObject({}),
  outputSchema,
  countsRows,
  summarize: () => `does ${name}`,
  doRun: () => Promise.reject(new Error('not run')),
});

const outside: PluginV1 = {
  name: 'outside',
  version: '1.0.0',
  apiVersion: 1,
  needs: [],
  optionsSchema: z.strictObject({}),
  register: (registrar) => {
    registrar.addStepKind(kind('outside.sift@1', true));
    registrar.addStepKind(kind('outside.describe@1', false));
  },
  close: async () => undefined,
};

suite('the funnel', () => {
  const host = createProjectHost([{ plugin: outside }]);
  let folder: string;
  let store: FileStore;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'escada-funnel-'));
    store = new FileStore(folder);
  });
  after(async () => {
    await host.close();
    await rm(folder, { recursive: true });
  });

  test('has the steps whose kinds declare that they count rows, whatever the fields of others are called', async () => {
    const step = (id: string, uses: string, needs: readonly string[] = []) =>
      ({ id, form: 'step', uses, with: {}, after: needs }) as const;
    const nodes = [
      step('sift', 'outside.sift@1'),
      step('describe', 'outside.describe@1', ['sift']),
      step('again', 'outside.sift@1', ['sift']),
    ];
    const { plan } = compilePipelineSpec({ name: 'own', nodes }, host);
    const droppedSamples = await store.putJson([
      { row: 3, reason: 'too long', input: 'a b c' },
      { row: 4, reason: 'empty', input: null },
    ]);
    const outputs = {
      sift: { rows: 90, dropped: 10, droppedSamples },
      describe: { rows: 7, dropped: 1 },
      again: { rows: 95, dropped: 5 },
    } as unknown as Readonly<Record<string, JsonValue>>;
    const [sift, again, ...others] = await funnelSteps({ curation: plan }, outputs, store);
    assert.deepEqual(others, []);
    assert.deepEqual(sift, {
      ...{ node: 'sift', summary: 'does outside.sift@1', before: 100, rows: 90, dropped: 10, added: 0 },
      samples: [
        { reason: 'too long', input: 'a b c' },
        { reason: 'empty', input: '' },
      ],
    });
    assert.deepEqual(again, {
      ...{ node: 'again', summary: 'does outside.sift@1', before: 90, rows: 95, dropped: 5, added: 10 },
      samples: [],
    });
  });
});
