import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { z } from 'zod';
import {
  artifactRefSchema,
  keepRows,
  keptRowsSchema,
  PLUGIN_API_VERSION,
  type ArtifactRef,
  type KeptRows,
  type PluginV1,
  type StepKindV1,
} from '../../../../plugin-api.ts';
import { openPluginBench, type PluginBench } from '../../../../testing.ts';

const withSchema = z.strictObject({ dataset: artifactRefSchema, answer: z.string() });

/** Keeps the rows with one answer; `fail` throws from the question whether to keep, `stop` cancels the step there. */
const step: StepKindV1<z.infer<typeof withSchema>, KeptRows> = {
  specificationVersion: 'v1',
  kind: 'keeper.keep@1',
  title: 'Keep',
  resource: 'cpu',
  retry: 'idempotentWrite',
  cacheable: true,
  startToCloseTimeoutMs: 60_000,
  heartbeatTimeoutMs: 10_000,
  withSchema,
  outputSchema: keptRowsSchema,
  summarize: () => 'keep',
  doRun: async ({ dataset, answer }, context) => {
    const stop = new AbortController();
    return await keepRows(dataset, { ...context, signal: stop.signal }, ({ output }) => {
      if (answer === 'stop') stop.abort(new Error('the step was cancelled'));
      if (answer === 'fail') throw new Error('cannot decide');
      return output === (answer === 'null' ? null : answer);
    });
  },
};

const plugin: PluginV1 = {
  name: 'keeper',
  version: '1.0.0',
  apiVersion: PLUGIN_API_VERSION,
  needs: [],
  optionsSchema: z.strictObject({}),
  register: (registrar) => registrar.addStepKind(step),
  close: async () => undefined,
};

suite('keepRows', () => {
  let bench: PluginBench;
  let dataset: ArtifactRef;

  before(async () => {
    bench = await openPluginBench({ plugin });
    const lines = Array.from({ length: 5000 }, (_, at) => `q${at},${at % 5 === 0 ? 'x' : 'y'},g${at % 3}`);
    await writeFile(join(bench.dataFolder, 'rows.csv'), `in,out,kind\n${lines.join('\n')}\n`);
    const columns = { input: 'in', output: 'out', category: 'kind' };
    const read = await bench.run('curate.read@1', { source: { path: 'rows.csv' }, columns });
    dataset = read['dataset'] as ArtifactRef;
  });
  after(() => bench.close());

  const keep = async (answer: string, from = dataset) =>
    (await bench.run('keeper.keep@1', { dataset: from, answer })) as unknown as KeptRows;

  async function rowsOf(ref: ArtifactRef) {
    const connection = await (await DuckDBInstance.create(':memory:')).connect();
    const path = await bench.store.localPath(ref);
    return (await connection.runAndReadAll(`SELECT * FROM read_parquet('${path}')`)).getRowObjectsJson();
  }

  test('keeps rows with all their columns, in their order, and counts them', async () => {
    const { rows, dropped, dataset: kept } = await keep('x');
    assert.deepEqual([rows, dropped], [1000, 4000]);
    const before = await rowsOf(dataset);
    assert.deepEqual(
      await rowsOf(kept),
      before.filter(({ output }) => output === 'x'),
    );
    assert.ok('category' in (before[0] ?? {}));
  });

  test('equal rows give equal bytes, and no row is a dataset, too', async () => {
    assert.deepEqual(await keep('x'), await keep('x'));
    const none = await keep('z');
    assert.deepEqual([none.rows, none.dropped], [0, 5000]);
    assert.deepEqual(await rowsOf(none.dataset), []);
  });

  test('a missing text is null', async () => {
    await writeFile(join(bench.dataFolder, 'null.jsonl'), '{"in":"a","out":null}\n{"in":"b","out":"c"}\n');
    const columns = { input: 'in', output: 'out' };
    const read = await bench.run('curate.read@1', { source: { path: 'null.jsonl' }, columns });
    const { rows, dropped } = await keep('null', read['dataset'] as ArtifactRef);
    assert.deepEqual([rows, dropped], [1, 1]);
  });

  test('what is no dataset is refused; what the question throws is passed on', async () => {
    const other = await bench.store.putJson({ rows: 1 });
    await assert.rejects(keep('x', other), { code: 'DATA_UNREADABLE' });
    await assert.rejects(keep('fail'), /cannot decide/);
    await assert.rejects(keep('stop'), /the step was cancelled/);
  });
});
