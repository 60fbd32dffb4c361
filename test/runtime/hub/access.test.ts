import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { hubSettings } from '../../../runtime/hub/settings.ts';
import { sha256, TOKEN, type Repository } from './fake-hub.ts';
import { COMMIT, NAME, withHub, type Scene } from './support.ts';

function mark({ hub }: Scene, marks: Partial<Repository>): void {
  const repository = hub.repositories[NAME];
  assert.ok(repository !== undefined);
  hub.repositories[NAME] = { ...repository, ...marks };
}

suite('access', () => {
  test('a gated repository: what to do without a token; with one it comes', async () => {
    await withHub(async (scene) => {
      mark(scene, { isGated: true });
      await assert.rejects(scene.pull(), {
        code: 'HUB_ACCESS_DENIED',
        message:
          `${NAME} is gated: ask for access on ${scene.hub.endpoint}/${NAME}; set HF_TOKEN to a token of your account. ` +
          `The hub says: “Access to model ${NAME} is restricted. Please log in.”`,
      });
      scene.env['HF_TOKEN'] = TOKEN;
      assert.equal((await scene.pull()).manifest.revision, COMMIT);
    });
  });

  test('a token without access and no token have different messages', async () => {
    await withHub(async ({ hub, env, pull }) => {
      env['HF_TOKEN'] = TOKEN;
      hub.fault(
        'hub',
        /\/resolve\//,
        (_, response) => {
          response
            .writeHead(403, { 'x-error-code': 'GatedRepo', 'x-error-message': 'Not in the list.' })
            .end();
        },
        9,
      );
      await assert.rejects(pull(), { code: 'HUB_ACCESS_DENIED', message: /your HF_TOKEN has no access yet/ });
      hub.faults.length = 0;
      hub.fault('hub', /\/tree\//, (_, response) => void response.writeHead(403).end());
      await assert.rejects(pull(), {
        code: 'HUB_ACCESS_DENIED',
        message: /may not be read with this HF_TOKEN/,
      });
    });
  });

  test('the token goes to the hub alone, and into no message, event or file', async () => {
    await withHub(async (scene) => {
      const { hub, env, pull, events } = scene;
      mark(scene, { isPrivate: true, isGated: true });
      env['HF_TOKEN'] = TOKEN;
      // Storage that sends one back to the hub does not bring the token back either.
      const body = hub.repositories[NAME]?.commits[COMMIT]?.['model.safetensors'] ?? Buffer.alloc(0);
      const back = `${hub.endpoint}/back`;
      hub.fault(
        'storage',
        new RegExp(sha256(body)),
        (_, response) => void response.writeHead(302, { location: back }).end(),
      );
      hub.fault('hub', /^\/back$/, (_, response) => void response.writeHead(200).end(body));
      const { manifest } = await pull();
      const withToken = hub.seen.filter(({ authorization }) => authorization !== undefined);
      assert.ok(
        withToken.every(
          ({ origin, authorization }) => origin === 'hub' && authorization === `Bearer ${TOKEN}`,
        ),
      );
      const without = hub.seen.filter(({ authorization }) => authorization === undefined);
      assert.deepEqual(
        new Set(without.map(({ origin, path }) => (origin === 'hub' ? path : origin))),
        new Set(['storage', '/back']),
      );
      assert.ok(withToken.length >= 6, `${withToken.length} requests`);
      assert.doesNotMatch(JSON.stringify([events, manifest]), /hf_the-token/);
      env['HF_TOKEN'] = `${TOKEN}-of-another`;
      await assert.rejects(pull(), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'HUB_ACCESS_DENIED');
        assert.match(error.message, /does not know this HF_TOKEN/);
        assert.doesNotMatch(JSON.stringify([error, error.message, error.stack]), /hf_the-token/);
        return true;
      });
    });
  });

  test('what is not there is named: repository, revision, file', async () => {
    await withHub(async (scene) => {
      const { pull, env, hub } = scene;
      await assert.rejects(pull('tests/none'), {
        code: 'HUB_NOT_FOUND',
        message: `There is no repository tests/none on ${hub.endpoint}, or it is private: then set HF_TOKEN.`,
      });
      env['HF_TOKEN'] = TOKEN;
      await assert.rejects(pull('tests/none'), {
        code: 'HUB_NOT_FOUND',
        message: /that this HF_TOKEN may see/,
      });
      await assert.rejects(pull(`${NAME}@v9`), {
        code: 'HUB_NOT_FOUND',
        message: new RegExp(`${NAME} has no revision v9`),
      });
      const commit = 'f'.repeat(40);
      await assert.rejects(pull(`${NAME}@${commit}`), {
        code: 'HUB_NOT_FOUND',
        message: new RegExp(`has no revision ${commit}`),
      });
      hub.fault('hub', /\/resolve\/.*config\.json/, (_, response) => {
        response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end();
      });
      await assert.rejects(pull(), {
        code: 'HUB_NOT_FOUND',
        message: /at main has no (tokenizer_)?config\.json/,
      });
    });
  });
});

suite('hubSettings', () => {
  test('the public hub without variables; another one with its path', () => {
    assert.deepEqual(hubSettings({}), {
      endpoint: 'https://huggingface.co',
      origin: 'https://huggingface.co',
      token: null,
      notes: [],
    });
    const { endpoint, origin, token } = hubSettings({
      HF_ENDPOINT: 'https://mirror.example/hf//',
      HF_TOKEN: ' t\n',
    });
    assert.deepEqual([endpoint, origin, token], ['https://mirror.example/hf', 'https://mirror.example', 't']);
  });

  test('over plain http the token stays here, except to this machine', () => {
    const far = hubSettings({ HF_ENDPOINT: 'http://mirror.example', HF_TOKEN: 't' });
    assert.equal(far.token, null);
    assert.deepEqual(far.notes, ['HF_TOKEN is not sent, because http://mirror.example is plain http.']);
    for (const host of ['localhost', '127.0.0.1:8080', '[::1]']) {
      assert.equal(hubSettings({ HF_ENDPOINT: `http://${host}`, HF_TOKEN: 't' }).token, 't');
    }
    assert.equal(hubSettings({ HF_ENDPOINT: 'http://127.0.0.1.example', HF_TOKEN: 't' }).token, null);
  });

  test('refuses what is no address or no token, without repeating it', () => {
    for (const value of ['nonsense', 'ftp://x', 'https://me:secret@x', 'https://x?y=secret', 'file:///etc']) {
      assert.throws(() => hubSettings({ HF_ENDPOINT: value }), {
        code: 'HUB_INPUT_INVALID',
        message: /^HF_ENDPOINT/,
      });
    }
    for (const value of ['hf_secret secret', 'hf_secret\nx', 'hf_secret\u00e9', 'hf_\u0007secret']) {
      assert.throws(
        () => hubSettings({ HF_TOKEN: value }),
        (error: Error & { code?: string }) =>
          error.code === 'HUB_INPUT_INVALID' && !error.message.includes('secret'),
      );
    }
  });
});
