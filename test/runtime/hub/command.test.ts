import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createPluginHost } from '../../../plugins/host/host.ts';
import { createNf4LoraPlugin } from '../../../plugins/nf4-lora/index.ts';
import { findModelPath } from '../../../plugins/sdk/model-folder/model-path.ts';
import { openModel, TINY_MODEL, trainRows } from '../../plugins/nf4-lora/support.ts';
import { sha256, TOKEN } from './fake-hub.ts';
import { COMMIT, ID, NAME, TINY, withHub } from './support.ts';

const MAIN = fileURLToPath(new URL('../../../cli/main.ts', import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function start(args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
  const { PATH, HOME } = process.env;
  return spawn(process.execPath, [MAIN, 'model', 'pull', ...args], { env: { PATH, HOME, ...env } });
}

async function escada(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> {
  const child = start(args, env);
  let [out, err] = ['', ''];
  child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

/** What the engine answers with a model, and the digest it gives it. */
async function answers(id: string, env: NodeJS.ProcessEnv): Promise<{ texts: string[]; digest: string }> {
  const plugin = createNf4LoraPlugin((one) =>
    // Originals, and what tests make of them, are named by their paths.
    findModelPath(one, { ...env, ESCADA_MODEL_ROOTS: [dirname(TINY_MODEL), tmpdir()].join(delimiter) }),
  );
  const host = createPluginHost([{ plugin, options: {} }]);
  try {
    const model = openModel(host, id, { weightFormat: 'f32' });
    const { signal } = new AbortController();
    const rows = trainRows(3).map((row) => ({ id: row.id, messages: row.messages }));
    const { answers: found } = await model.doGenerate({ rows, maxTokens: 8, signal });
    return { texts: found.map(({ text }) => text), digest: (await model.inspect(signal)).modelDigest };
  } finally {
    await host.close();
  }
}

/** A safetensors file as two shards with their index. */
function split(files: Record<string, Buffer>): void {
  const whole = files['model.safetensors'] ?? Buffer.alloc(0);
  const start = 8 + Number(whole.readBigUInt64LE());
  type Entry = { dtype: string; shape: number[]; data_offsets: [number, number] };
  const header = JSON.parse(whole.subarray(8, start).toString()) as Record<string, Entry>;
  const names = Object.keys(header).filter((name) => name !== '__metadata__');
  const weight_map: Record<string, string> = {};
  for (const shard of [0, 1]) {
    const [own, parts, at]: [Record<string, Entry>, Buffer[], { bytes: number }] = [{}, [], { bytes: 0 }];
    const name = `model-0000${shard + 1}-of-00002.safetensors`;
    for (const tensor of names.filter((_, index) => index % 2 === shard)) {
      const {
        data_offsets: [from, to],
        ...rest
      } = header[tensor] as Entry;
      own[tensor] = { ...rest, data_offsets: [at.bytes, at.bytes + to - from] };
      parts.push(whole.subarray(start + from, start + to));
      at.bytes += to - from;
      weight_map[tensor] = name;
    }
    const text = Buffer.from(JSON.stringify(own));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(text.length));
    files[name] = Buffer.concat([length, text, ...parts]);
  }
  delete files['model.safetensors'];
  files['model.safetensors.index.json'] = Buffer.from(JSON.stringify({ metadata: {}, weight_map }));
}

suite('escada model pull ORG/NAME', () => {
  test('the engine loads what was pulled and answers as with the original', async () => {
    await withHub(async ({ hub, env }) => {
      const { code, out, err } = await escada([NAME], env);
      assert.equal(code, 0, err);
      const path = join(env['ESCADA_CACHE_DIR'] ?? '', 'models', ID);
      const bytes = Object.values(hub.repositories[NAME]?.commits[COMMIT] ?? {}).reduce(
        (sum, body) => sum + body.length,
        0,
      );
      assert.deepEqual(out.split('\n'), [
        path,
        `  ${NAME} at ${COMMIT}`,
        `  4 files checked, ${bytes} bytes fetched`,
        `  in a spec: "model": {"id":"${ID}"}`,
        '',
      ]);
      assert.match(err, new RegExp(`${NAME}: commit ${COMMIT}, 4 files, ${bytes} bytes, to ${path}`));
      assert.match(err, /model\.safetensors \(69944 bytes\), digest checked/);
      assert.deepEqual(await answers(ID, env), await answers(TINY, {}));
      const again = await escada([`${NAME}@main`], env);
      assert.match(again.out, /4 files checked, 0 bytes fetched/);
    });
  });

  test('shards that were pulled are the same model', async () => {
    await withHub(async ({ env, folder }) => {
      const out = join(folder, 'sharded');
      const ended = await escada([NAME, '--revision', COMMIT, '--out', out], env);
      assert.equal(ended.code, 0, ended.err);
      assert.match(ended.out, new RegExp(`"model": {"id":"${out}"}`));
      const { texts } = await answers(out, {});
      assert.deepEqual(texts, (await answers(TINY, {})).texts);
    }, split);
  });

  test('killed in the middle, it resumes where it was', async () => {
    const body = Buffer.alloc(300_000, 'weights');
    const large = (files: Record<string, Buffer>) => void (files['model.safetensors'] = body);
    await withHub(async ({ hub, env, folder }) => {
      hub.fault('storage', new RegExp(sha256(body)), (_, response) => {
        response.writeHead(200, { 'content-length': body.length });
        response.write(body.subarray(0, 200_000));
      });
      const child = start([NAME], env);
      const part = join(folder, 'models', `.${ID}.${COMMIT.slice(0, 12)}.partial`, 'model.safetensors.part');
      while ((await stat(part).catch(() => null))?.size !== 200_000) {
        assert.equal(child.exitCode, null);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      child.kill('SIGKILL');
      await once(child, 'close');
      hub.seen.length = 0;
      const { code, err } = await escada([NAME], env);
      assert.equal(code, 0, err);
      assert.match(err, /, \d+(\.\d MB| bytes) of them still to come/);
      const [asked] = hub
        .downloads()
        .filter(({ origin, path }) => origin === 'storage' && path.endsWith(sha256(body)));
      assert.equal(asked?.range, 'bytes=200000-');
      // The lock of the killed process is gone with its work.
      assert.deepEqual(await readdir(join(folder, 'models')), [ID]);
    }, large);
  });

  test('failures are reported with code and advice, and never with the token', async () => {
    await withHub(async ({ hub, env }) => {
      const secret = { ...env, HF_TOKEN: TOKEN };
      hub.fault('hub', /\/revision\//, (_, response) => {
        response.writeHead(403, { 'x-error-code': 'GatedRepo' }).end();
      });
      const gated = await escada([NAME], secret);
      assert.deepEqual([gated.code, gated.out], [2, '']);
      assert.match(
        gated.err,
        /HUB_ACCESS_DENIED: tests\/tiny-llama3 is gated: .*\n {2}What to do: Accept the terms/,
      );
      const cases: [string[], number, RegExp][] = [
        [[NAME, '--from', 'x.gguf'], 2, /HUB_INPUT_INVALID: --from/],
        [['smollm2-135m-instruct', '--out', 'x'], 2, /HUB_INPUT_INVALID: --out only applies to a repository/],
        [['no-such-model'], 2, /There is no known model called no-such-model\.\n {2}Known: smollm2/],
      ];
      for (const [args, code, message] of cases) {
        const ended = await escada(args, secret);
        assert.equal(ended.code, code, ended.err);
        assert.match(ended.err, message);
        assert.doesNotMatch(ended.err + ended.out, /hf_the-token|\n {4}at /);
      }
    });
  });
});
