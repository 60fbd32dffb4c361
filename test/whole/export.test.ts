/** `escada export` of an adaptation that chose an adapter, on the tiny checkpoint. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { reasonToSkip } from './support/needs.ts';
import { Place } from './support/place.ts';
import { runAdaptation, writeRows, type FinishedRun } from './support/runs.ts';
import { TestServer } from './support/server.ts';
import { tinySpec } from './support/specs.ts';

const skip = await reasonToSkip({ engine: true });

/** Only the adapter is tried, so that it is what wins. */
const SPEC = tinySpec({
  flowchart: {
    name: 'adapter only',
    start: 'try-peft',
    nodes: {
      'try-peft': { form: 'try', title: 'Train an adapter', rung: 'peft', next: 'end' },
      end: { form: 'end', title: 'End', verdict: 'target-not-met' },
    },
  },
  rungs: {
    peft: {
      learningRates: [1e-2],
      config: { r: 4, loraAlpha: 8, maxSteps: 3, saveSteps: 3, warmupSteps: 1 },
    },
  },
});

suite('escada export', { skip }, () => {
  let server: TestServer;
  let place: Place;
  let run: FinishedRun;

  before(async () => {
    server = await TestServer.start();
    place = await Place.open(server, 'export');
    await writeRows(place);
    await place.startWorker();
    run = await runAdaptation(place, SPEC);
  });

  after(async () => {
    await place?.close();
    await server?.stop();
  });

  test('writes a folder in shards that answers as base and adapter do, and never over another', async () => {
    assert.equal(run.outcome.decision.rung, 'peft');
    const out = join(place.home, 'exported');
    const args = [
      'export',
      run.workflowId,
      '--format',
      'safetensors-f32',
      '--max-shard-size',
      '40KB',
      '--out',
      out,
    ];
    const { code, stdout, stderr } = await place.escada([...args, '--json']);
    assert.equal(code, 0, stderr);
    const done = JSON.parse(stdout) as {
      path: string;
      merged: number;
      drift: { rows: number; equalAnswers: number };
    };
    assert.deepEqual([done.path, done.merged], [out, 14]);
    assert.deepEqual(done.drift.equalAnswers, done.drift.rows);
    const files = await readdir(out);
    for (const name of ['config.json', 'tokenizer.json', 'model.safetensors.index.json'])
      assert.ok(files.includes(name), files.join());
    assert.ok(
      files.filter((name) => /^model-\d{5}-of-\d{5}\.safetensors$/.test(name)).length > 2,
      files.join(),
    );
    const again = await place.escada(args);
    assert.notEqual(again.code, 0);
    assert.match(again.stderr, /OUTPUT_NOT_WRITABLE: .*the folder is not empty/);
  });

  test('what cannot be is refused with the field', async () => {
    const out = join(place.home, 'cut.gguf');
    const { code, stderr } = await place.escada([
      'export',
      run.workflowId,
      '--max-shard-size',
      '1GB',
      '--out',
      out,
    ]);
    assert.notEqual(code, 0);
    assert.match(stderr, /with\.maxShardBytes: a GGUF file is not cut into shards/);
  });
});
