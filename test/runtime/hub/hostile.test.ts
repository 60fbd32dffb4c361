import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { nextUrl } from '../../../runtime/hub/client.ts';
import { sanitizeForTerminal } from '../../../runtime/hub/failures.ts';
import { entryOf } from './fake-hub.ts';
import { COMMIT, MODEL_FILES, NAME, withHub, type Scene } from './support.ts';

const PATHS = [
  '../evil.json',
  '../../evil.json',
  '/tmp/evil.json',
  '..\\evil.json',
  'C:evil.json',
  '.hidden.json',
  '-rf.json',
  'evil\u0000.json',
  'evil\u001b[2J.json',
  'ev\u0131l.json',
  '..',
  '.',
  '',
  `${'x'.repeat(300)}.json`,
];

const OID = '0'.repeat(40);

/** Every file under a folder. */
async function everything(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

/** The hub's own list of the root with entries added. */
function addEntries({ hub }: Scene, entries: object[]): void {
  const files = hub.repositories[NAME]?.commits[COMMIT] ?? {};
  hub.fault(
    'hub',
    /\/tree\//,
    (_, response) => {
      const own = Object.entries(files).map(([path, body]) => ({
        type: 'file',
        path,
        oid: OID,
        size: body.length,
        lfs: { oid: '0'.repeat(64), size: body.length },
      }));
      response.writeHead(200).end(JSON.stringify([...own, ...entries]));
    },
    9,
  );
}

suite('a hub that means ill', () => {
  test('names of files that are paths, hidden or unprintable are not taken', async () => {
    const add = (files: Record<string, Buffer>) => {
      for (const path of PATHS) files[path] = Buffer.from('{}');
    };
    await withHub(async ({ pull, folder, hub }) => {
      hub.fault('hub', /\/tree\//, (_, response) => {
        // As they are: the fake hub itself would take some of them for folders.
        const files = hub.repositories[NAME]?.commits[COMMIT] ?? {};
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify(Object.entries(files).map(([path, body]) => entryOf(path, body))));
      });
      const { manifest } = await pull();
      assert.deepEqual(
        manifest.files.map(({ name }) => name),
        MODEL_FILES,
      );
      assert.deepEqual((await everything(folder)).sort(), [...MODEL_FILES, 'manifest.json'].sort());
    }, add);
  });

  test('an index that names files elsewhere, or files that are no shards, is refused', async () => {
    for (const name of ['../../evil.safetensors', '/etc/passwd', 'tokenizer.json', 'none.safetensors', '']) {
      const shard = (files: Record<string, Buffer>) => {
        delete files['model.safetensors'];
        const index = JSON.stringify({ weight_map: { a: name } });
        files['model.safetensors.index.json'] = Buffer.from(index);
      };
      await withHub(async ({ pull, hub }) => {
        await assert.rejects(pull(), { code: 'HUB_ANSWER_INVALID', message: /index\.json names .*no shard/ });
        const asked = hub.seen.filter(({ path }) => path.includes('/resolve/')).map(({ path }) => path);
        assert.equal(asked.length, 1, 'only the index was asked for');
      }, shard);
    }
    for (const text of ['', '[]', '{"weight_map": 3}', '{"weight_map": {}}', '{"weight_map": {"a": 1}}']) {
      const broken = (files: Record<string, Buffer>) => {
        delete files['model.safetensors'];
        files['model.safetensors.index.json'] = Buffer.from(text);
      };
      await withHub(async ({ pull }) => {
        await assert.rejects(pull(), { code: 'HUB_ANSWER_INVALID' }, text);
      }, broken);
    }
  });

  test('answers outside the protocol have their code', async () => {
    const answers: [RegExp, string, RegExp][] = [
      [/\/revision\//, '<html>', /is not JSON/],
      [/\/revision\//, '{"sha":"../../evil"}', /at sha/],
      [/\/revision\//, '[]', /not as the protocol has it/],
      [/\/tree\//, '{}', /the list of files is not as the protocol has it/],
      [/\/tree\//, '[{"type":"file","path":"config.json","oid":"x"}]', /without size or digest/],
      [/\/tree\//, `[{"type":"file","path":"config.json","oid":"${OID}","size":-1}]`, /at 0\.size/],
      [/\/tree\//, `"${'x'.repeat(17 * 2 ** 20)}"`, /larger than 16777216 bytes/],
    ];
    for (const [path, body, message] of answers) {
      await withHub(async ({ hub, pull }) => {
        hub.fault('hub', path, (_, response) => void response.writeHead(200).end(body));
        await assert.rejects(pull(), { code: 'HUB_ANSWER_INVALID', message }, body.slice(0, 80));
      });
    }
  });

  test('another commit than the one asked for is refused', async () => {
    const other = 'd'.repeat(40);
    await withHub(async ({ hub, pull }) => {
      hub.fault('hub', /\/revision\//, (_, response) => void response.end(JSON.stringify({ sha: other })));
      await assert.rejects(pull(`${NAME}@${COMMIT}`), {
        code: 'HUB_ANSWER_INVALID',
        message: /gives commit d+ for/,
      });
      hub.fault('hub', /resolve-cache.*\/config\.json/, (_, response) => {
        response.writeHead(200, { 'x-repo-commit': other }).end('{}');
      });
      await assert.rejects(pull(), {
        code: 'HUB_ANSWER_INVALID',
        message: /config\.json comes from commit d+/,
      });
    });
  });

  test('pages and redirects without end come to one', async () => {
    await withHub(async ({ hub, pull }) => {
      let page = 0;
      hub.fault(
        'hub',
        /\/tree\//,
        (_, response) => {
          page += 1;
          response.setHeader('link', `<${hub.endpoint}/x?cursor=${page}>; rel="next"`);
          response.end('[]');
        },
        1000,
      );
      await assert.rejects(pull(), { code: 'HUB_ANSWER_INVALID', message: /more than 100 pages/ });
      hub.faults.length = 0;
      hub.fault(
        'hub',
        /\/tree\//,
        (_, response) => {
          response.setHeader('link', `<${hub.endpoint}/x?cursor=1>; rel="next"`);
          response.end('[]');
        },
        1000,
      );
      await assert.rejects(pull(), { code: 'HUB_ANSWER_INVALID', message: /names itself/ });
      hub.faults.length = 0;
      hub.fault(
        'hub',
        /./,
        (_, response) => void response.writeHead(302, { location: '/round' }).end(),
        1000,
      );
      await assert.rejects(pull(), { code: 'HUB_ANSWER_INVALID', message: /more than 5 redirects/ });
    });
  });

  test('redirects lead to the web, and from https only to https', () => {
    const secure = new URL('https://hub.example/a');
    for (const location of [
      'http://hub.example/a',
      'file:///etc/passwd',
      'ftp://x',
      'data:,x',
      'https://me:pw@x/',
      'https://',
    ]) {
      assert.throws(() => nextUrl(secure, location), { code: 'HUB_ANSWER_INVALID' }, location);
    }
    assert.equal(nextUrl(secure, '/b?c').href, 'https://hub.example/b?c');
    assert.equal(nextUrl(secure, 'https://s.example/').href, 'https://s.example/');
    assert.equal(nextUrl(new URL('http://127.0.0.1/'), 'http://127.0.0.1:1/').port, '1');
  });

  test('two names that differ by case only are refused', async () => {
    await withHub(async (scene) => {
      addEntries(scene, [{ type: 'file', path: 'Config.json', oid: OID, size: 2 }]);
      await assert.rejects(scene.pull(), { code: 'HUB_ANSWER_INVALID', message: /differ by case/ });
    });
  });

  test('a configuration of gigabytes is not fetched; a large file that nobody needs is left there', async () => {
    await withHub(async (scene) => {
      addEntries(scene, [{ type: 'file', path: 'all_results.json', oid: OID, size: 2 ** 40 }]);
      await assert.rejects(scene.pull(), { code: 'HUB_FILE_DAMAGED' });
      const plan = scene.events.find((event) => event.kind === 'plan');
      assert.equal(plan?.files, MODEL_FILES.length);
    });
    await withHub(async ({ hub, pull }) => {
      const entry = (path: string, size: number) => ({ type: 'file', path, oid: OID, size });
      const list = [entry('config.json', 2 ** 40), entry('tokenizer.json', 2), entry('model.safetensors', 2)];
      hub.fault('hub', /\/tree\//, (_, response) => void response.end(JSON.stringify(list)));
      await assert.rejects(pull(), { code: 'HUB_ANSWER_INVALID', message: /config\.json has 1099\.51 GB/ });
    });
  });

  test('text of a server is made fit for a terminal', () => {
    assert.equal(sanitizeForTerminal(`a\u001b[31mb\u0007\r\nc\u009bd ${'x'.repeat(999)}`).length, 300);
    assert.match(sanitizeForTerminal('a\u001b[31mb\u0007\r\nc\u009bd'), /^[\x20-\x7e]+$/);
  });

  test('an abandoned folder of parts brings nothing of its own into the model', async () => {
    const outside = await mkdtemp(join(tmpdir(), 'escada-test-'));
    try {
      await withHub(async ({ pull, hub }) => {
        const out = join(outside, 'm');
        hub.fault('hub', /\/resolve\//, (_, response) => void response.writeHead(451).end());
        await assert.rejects(pull(NAME, { out }));
        const growing = (await readdir(outside)).find((name) => name.endsWith('.partial')) ?? '';
        await writeFile(join(outside, growing, 'stranger.json'), '{}');
        await pull(NAME, { out });
        assert.deepEqual((await readdir(out)).sort(), [...MODEL_FILES, 'manifest.json'].sort());
      });
    } finally {
      await rm(outside, { recursive: true, force: true });
    }
  });
});
