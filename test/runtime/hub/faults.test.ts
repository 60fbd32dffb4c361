import assert from 'node:assert/strict';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { cutInHalf, gitBlob, sha256, SIGNATURE, type Fault } from './fake-hub.ts';
import { closedEndpoint, COMMIT, ID, NAME, tinyFiles, withHub, type Scene } from './support.ts';

const WEIGHTS = 'model.safetensors';
const growing = (folder: string) => join(folder, 'models', `.${ID}.${COMMIT.slice(0, 12)}.partial`);

/** Weights large enough that half of them leaves the server before a connection is cut. */
const LARGE = Buffer.from(Array.from({ length: 400_000 }, (_, at) => (at * 31) % 251));
const large = (files: Record<string, Buffer>) => void (files[WEIGHTS] = LARGE);
const AT_STORAGE = new RegExp(sha256(LARGE));

async function checkWeights({ folder, hub }: Scene): Promise<void> {
  const expected = hub.repositories[NAME]?.commits[COMMIT]?.[WEIGHTS] ?? Buffer.alloc(0);
  assert.ok(expected.equals(await readFile(join(folder, 'models', ID, WEIGHTS))), 'other weights');
}

/** Pulls until the connection has been cut so often that the pull gives up; half of the weights stay. */
async function breakOff({ hub, pull, folder }: Scene): Promise<number> {
  hub.fault('storage', AT_STORAGE, cutInHalf);
  // A refusal after the cut ends the pull at once.
  hub.fault('hub', /model\.safetensors$/, () => true);
  hub.fault('hub', /model\.safetensors$/, (_, response) => void response.writeHead(451).end());
  await assert.rejects(pull(), { code: 'HUB_ANSWER_INVALID', message: /HTTP 451/ });
  const { size } = await stat(join(growing(folder), `${WEIGHTS}.part`));
  assert.ok(size > 0 && size < 400_000, `${size} bytes`);
  assert.deepEqual(
    (await readdir(join(folder, 'models'))).filter((name) => !name.startsWith('.')),
    [],
  );
  return size;
}

suite('a pull that is disturbed', () => {
  test('resumes where a connection was cut, in the same pull', async () => {
    await withHub(async (scene) => {
      scene.hub.fault('storage', AT_STORAGE, cutInHalf, 3);
      const { receivedBytes, manifest } = await scene.pull();
      await checkWeights(scene);
      assert.equal(
        receivedBytes,
        manifest.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      );
      const ranges = scene.hub
        .downloads()
        .filter(({ origin, range }) => origin === 'storage' && range !== undefined);
      assert.equal(ranges.length, 3);
      assert.equal(scene.waits.length, 3);
      assert.ok(
        scene.waits.every((ms) => ms <= 1000),
        'each got further, so each wait is the first',
      );
    }, large);
  });

  test('resumes in the next pull', async () => {
    await withHub(async (scene) => {
      const size = await breakOff(scene);
      scene.hub.seen.length = 0;
      const { receivedBytes } = await scene.pull();
      await checkWeights(scene);
      assert.equal(receivedBytes, 400_000 - size);
      const ranges = scene.hub.downloads().flatMap(({ range }) => range ?? []);
      // Asked of the hub, and of the storage that it redirects to.
      assert.deepEqual(ranges, [`bytes=${size}-`, `bytes=${size}-`]);
    }, large);
  });

  test('starts again when the ETag is another one, when a range is not heeded, and when a range is wrong', async () => {
    let storage = '';
    const another: Fault['act'] = (_, response) => {
      const location = `${storage}/storage/${sha256(LARGE)}?${SIGNATURE}`;
      response.writeHead(302, { location, 'x-linked-etag': '"another"' }).end();
    };
    const whole: Fault['act'] = (_request, response, body) => void response.writeHead(200).end(body);
    const elsewhere: Fault['act'] = (_request, response, body) =>
      void response.writeHead(206, { 'content-range': `bytes 5-9/${body?.length}` }).end('wrong');
    const gone: Fault['act'] = (_request, response) => void response.writeHead(416).end();
    for (const [origin, act] of [
      ['hub', another],
      ['storage', whole],
      ['storage', elsewhere],
      ['storage', gone],
    ] as const) {
      await withHub(async (scene) => {
        await breakOff(scene);
        storage = scene.hub.storage;
        scene.hub.fault(origin, origin === 'hub' ? /model\.safetensors$/ : AT_STORAGE, act);
        const { receivedBytes } = await scene.pull();
        await checkWeights(scene);
        assert.equal(receivedBytes, 400_000);
      }, large);
    }
  });

  test('a part that is not of this file is noticed by its digest and fetched again', async () => {
    await withHub(async (scene) => {
      const size = await breakOff(scene);
      await writeFile(join(growing(scene.folder), `${WEIGHTS}.part`), Buffer.alloc(size, 1));
      const { receivedBytes } = await scene.pull();
      await checkWeights(scene);
      assert.equal(receivedBytes, 400_000 - size + 400_000);
    }, large);
  });

  test('wrong bytes, of large and small files, are refused and never become a model', async () => {
    for (const [origin, name] of [
      ['storage', WEIGHTS],
      ['hub', 'tokenizer_config.json'],
    ] as const) {
      await withHub(async ({ hub, pull, folder }) => {
        const body = hub.repositories[NAME]?.commits[COMMIT]?.[name] ?? Buffer.alloc(0);
        const wrong = Buffer.from(body);
        wrong[3] = (wrong[3] ?? 0) ^ 1;
        const path = origin === 'hub' ? /resolve-cache.*tokenizer_config\.json$/ : new RegExp(sha256(body));
        hub.fault(origin, path, (_, response) => void response.writeHead(200).end(wrong), 2);
        const digest = origin === 'hub' ? gitBlob(body) : sha256(body);
        await assert.rejects(pull(), {
          code: 'HUB_FILE_DAMAGED',
          message: new RegExp(`^${name}: its digest is not the ${digest} of the hub's listing, twice`),
        });
        assert.deepEqual(await readdir(join(folder, 'models')), [`.${ID}.${COMMIT.slice(0, 12)}.partial`]);
        // The damaged bytes are not kept: the next pull gets it right.
        await pull();
        assert.deepEqual(await readFile(join(folder, 'models', ID, name)), body);
      });
    }
  });

  test('more or fewer bytes than listed are refused', async () => {
    await withHub(async ({ hub, pull }) => {
      const body = (await tinyFiles())[WEIGHTS] ?? Buffer.alloc(0);
      const more = Buffer.concat([body, Buffer.from('!')]);
      hub.fault('storage', new RegExp(sha256(body)), (_, response) => void response.writeHead(200).end(more));
      await assert.rejects(pull(), { code: 'HUB_FILE_DAMAGED', message: /more than the \d+ bytes/ });
      const page = Buffer.from('<html>Log in to this network</html>');
      const length = { 'content-length': page.length };
      hub.fault('storage', /./, (_, response) => void response.writeHead(200, length).end(page), 4);
      await assert.rejects(pull(), { code: 'HUB_FILE_DAMAGED', message: /35 bytes are sent.*log-in page/ });
      // A body that ends early without saying how long it is counts as cut.
      hub.faults.length = 0;
      hub.fault('storage', new RegExp(sha256(body)), (_, response) => {
        response.writeHead(200, { 'transfer-encoding': 'chunked' });
        response.end(body.subarray(0, 50));
      });
      await pull();
    });
  });

  test('waits as long as the hub asks, by seconds, date or its own header, and doubles otherwise', async () => {
    await withHub(async ({ hub, pull, waits, events }) => {
      const answers: [number, Record<string, string>][] = [
        [429, { 'retry-after': '7' }],
        [429, { ratelimit: '"api";r=0;t=55' }],
        [503, { 'retry-after': new Date(Date.now() + 90_000).toUTCString() }],
        [500, {}],
        [502, {}],
      ];
      for (const [status, headers] of answers) {
        hub.fault('hub', /\/revision\//, (_, response) => void response.writeHead(status, headers).end());
      }
      await pull();
      assert.deepEqual(waits.slice(0, 2), [7000, 55_000]);
      assert.ok(waits[2] !== undefined && waits[2] > 80_000 && waits[2] <= 90_000, `${waits[2]}`);
      assert.ok(waits[3] !== undefined && waits[3] >= 6000 && waits[3] <= 8000, `${waits[3]}`);
      assert.ok(waits[4] !== undefined && waits[4] >= 12_000 && waits[4] <= 16_000, `${waits[4]}`);
      assert.equal(waits.length, 5);
      const first = events.find(({ kind }) => kind === 'wait');
      assert.match(JSON.stringify(first), /answers too many requests","seconds":7/);
    });
  });

  test('gives up after five faults in a row, and at once when asked to wait too long', async () => {
    await withHub(async ({ hub, pull, waits }) => {
      hub.fault('hub', /\/tree\//, (_, response) => void response.writeHead(503).end(), 100);
      await assert.rejects(pull(), { code: 'HUB_UNREACHABLE', message: /answers HTTP 503/ });
      assert.equal(waits.length, 5);
      hub.faults.length = 0;
      const patience = { 'retry-after': '3600' };
      hub.fault('hub', /\/tree\//, (_, response) => void response.writeHead(429, patience).end());
      const asked = { message: /too many requests.*3600 s/, retryAfterMs: 3_600_000 };
      await assert.rejects(pull(), { code: 'HUB_UNREACHABLE', ...asked });
      assert.equal(waits.length, 5);
    });
  });

  test('a server that always breaks off at the same place is given up', async () => {
    await withHub(async ({ hub, pull, waits }) => {
      const always: Fault['act'] = (_, response, body) => {
        response.writeHead(200);
        response.write((body ?? Buffer.alloc(0)).subarray(0, 100_000), () =>
          setTimeout(() => response.destroy(), 20),
        );
      };
      hub.fault('storage', AT_STORAGE, always, 100);
      await assert.rejects(pull(), { code: 'HUB_UNREACHABLE' });
      assert.ok(waits.length >= 5 && waits.length <= 7, `${waits.length} waits`);
    }, large);
  });

  test('a silent connection is given up and tried again', async () => {
    await withHub(async ({ hub, pull, events }) => {
      const body = (await tinyFiles())[WEIGHTS] ?? Buffer.alloc(0);
      hub.fault('storage', new RegExp(sha256(body)), (_, response) => {
        response.writeHead(200, { 'content-length': body.length });
        response.write(body.subarray(0, 1000));
      });
      hub.fault('hub', /\/tree\//, () => undefined);
      await pull(NAME, { idleMs: 300 });
      const waits = events.filter((event) => event.kind === 'wait').map(({ reason }) => reason);
      assert.deepEqual(waits, [`${NAME}: no data came for 0.3 s`, `${WEIGHTS}: no data came for 0.3 s`]);
    });
  });

  test('a slow connection that gives signs of life is left in peace', async () => {
    await withHub(async (scene) => {
      scene.hub.fault('storage', AT_STORAGE, async (_, response) => {
        response.writeHead(200, { 'content-length': LARGE.length });
        for (let from = 0; from < LARGE.length; from += 80_000) {
          response.write(LARGE.subarray(from, from + 80_000));
          await new Promise((resolve) => setTimeout(resolve, 600));
        }
        response.end();
      });
      await scene.pull(NAME, { idleMs: 1800 });
      await checkWeights(scene);
      assert.deepEqual(scene.waits, []);
    }, large);
  });

  test('without a network it says so at once', async () => {
    await withHub(async ({ env, pull, waits }) => {
      env['HF_ENDPOINT'] = await closedEndpoint();
      await assert.rejects(pull(), { code: 'HUB_UNREACHABLE', message: /cannot be reached.*ECONNREFUSED/ });
      env['HF_ENDPOINT'] = 'https://hub.invalid';
      await assert.rejects(pull(), {
        code: 'HUB_UNREACHABLE',
        message: /https:\/\/hub\.invalid cannot be reached/,
      });
      assert.deepEqual(waits, []);
    });
  });

  test('more than the disk holds is refused before the first byte', async () => {
    await withHub(async ({ hub, pull }) => {
      hub.fault('hub', /\/tree\//, (_, response) => {
        const entry = (path: string, size: number) => ({
          type: 'file',
          path,
          oid: '0'.repeat(40),
          size,
          lfs: { oid: '0'.repeat(64), size },
        });
        const list = [entry(WEIGHTS, 2 ** 52), entry('config.json', 2), entry('tokenizer.json', 2)];
        response.writeHead(200).end(JSON.stringify(list));
      });
      await assert.rejects(pull(), {
        code: 'DISK_FULL',
        message: /needs 4503599\.63 GB more in .* are free/,
      });
      assert.deepEqual(hub.downloads(), []);
    });
  });

  test('a pull that is cancelled stops and keeps what came', async () => {
    await withHub(async ({ hub, pull, folder }) => {
      const stop = new AbortController();
      hub.fault('storage', AT_STORAGE, (_, response) => {
        response.writeHead(200, { 'content-length': LARGE.length });
        response.write(LARGE.subarray(0, 1000), () => setTimeout(() => stop.abort(new Error('enough')), 50));
      });
      await assert.rejects(pull(NAME, { signal: stop.signal }), /enough/);
      assert.equal((await stat(join(growing(folder), `${WEIGHTS}.part`))).size, 1000);
      await pull();
    }, large);
  });
});
