import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmod, chown, cp, mkdir, readFile, readdir, stat, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { cacheFolder } from '../../../runtime/bootstrap/cache-folder.mjs';
import { cached, findCached, keyOf } from '../../../runtime/bootstrap/cache.mjs';
import { modelsFolder } from '../../../plugins/sdk/model-folder/model-path.ts';
import { readSettings } from '../../../runtime/settings.ts';
import { processSpace } from '../../../runtime/bootstrap/process-identity.mjs';
import { scratch } from './support.ts';

/** Above every process id that Linux and macOS hand out. */
const NO_SUCH_PID = 2 ** 30;

test('the cache is where the environment says, most specific first', () => {
  const home = { HOME: '/h' };
  assert.equal(cacheFolder(home), '/h/.cache/escada');
  assert.equal(cacheFolder({ ...home, XDG_CACHE_HOME: '/x' }), '/x/escada');
  assert.equal(cacheFolder({ ...home, XDG_CACHE_HOME: '/x', ESCADA_CACHE_DIR: '/e' }), '/e');
});

test('set-up, settings and models agree on the cache, also where a variable is empty or blank', () => {
  for (const own of [undefined, '', ' ', '/e', 'relative'])
    for (const shared of [undefined, '', ' ', '/x']) {
      const env = { HOME: '/h', ESCADA_CACHE_DIR: own, XDG_CACHE_HOME: shared };
      const folder = cacheFolder(env);
      assert.ok(path.isAbsolute(folder));
      assert.equal(readSettings(env).cacheDir, folder);
      assert.equal(modelsFolder(env), path.join(folder, 'models'));
    }
  assert.equal(cacheFolder({ HOME: '/h', ESCADA_CACHE_DIR: ' ', XDG_CACHE_HOME: '' }), '/h/.cache/escada');
});

test('a key depends on every part, on their order and on where one ends', () => {
  const keys = [['ab', 'c'], ['a', 'bc'], ['c', 'ab'], ['ab'], ['ab', 'c', '']].map(keyOf);
  assert.equal(new Set(keys).size, keys.length);
  assert.equal(keyOf(['ab', 'c']), keyOf([Buffer.from('ab'), 'c']));
});

test('two builders of the same key build once', async (t) => {
  const env = { ESCADA_CACHE_DIR: await scratch(t) };
  let builds = 0;
  const build = async (folder: string): Promise<void> => {
    builds += 1;
    await sleep(50);
    await writeFile(path.join(folder, 'thing'), 'x');
  };
  const options = { kind: 'k', key: 'a', keep: 1, env, build };
  const [first, second] = await Promise.all([cached(options), cached(options)]);
  assert.equal(first, second);
  assert.equal(builds, 1);
  assert.equal(await readFile(path.join(first, 'thing'), 'utf8'), 'x');
});

test('a failed build publishes nothing and leaves nothing behind', async (t) => {
  const env = { ESCADA_CACHE_DIR: await scratch(t) };
  const build = async (folder: string): Promise<never> => {
    await writeFile(path.join(folder, 'half'), 'x');
    throw new Error('no');
  };
  await assert.rejects(cached({ kind: 'k', key: 'a', keep: 1, env, build }), /no/);
  assert.deepEqual(await readdir(path.join(env.ESCADA_CACHE_DIR, 'k')), []);
});

test('what a killed builder left is removed, and old keys beyond the limit', async (t) => {
  const env = { ESCADA_CACHE_DIR: await scratch(t) };
  const shelf = path.join(env.ESCADA_CACHE_DIR, 'k');
  await mkdir(path.join(shelf, '.building-a-1-00'), { recursive: true });
  await writeFile(
    path.join(shelf, '.lock'),
    JSON.stringify({ pid: NO_SUCH_PID, host: os.hostname(), space: processSpace() }),
  );
  for (const [index, key] of ['a', 'b', 'c'].entries()) {
    await cached({ kind: 'k', key, keep: 1, env, build: async () => undefined });
    const used = new Date(Date.now() - 60_000 + index * 1000);
    await utimes(path.join(shelf, key), used, used);
  }
  assert.deepEqual(await readdir(shelf), ['b', 'c']);
});

const put = (text: string) => async (folder: string) => await writeFile(path.join(folder, 'thing'), text);

test('what was changed in the cache is made again; what was only touched is not', async (t) => {
  const env = { ESCADA_CACHE_DIR: await scratch(t) };
  const options = { kind: 'k', key: 'a', keep: 1, env };
  const thing = path.join(await cached({ ...options, build: put('first') }), 'thing');
  const now = new Date();
  await utimes(thing, now, now);
  await cached({ ...options, build: put('again') });
  assert.equal(await readFile(thing, 'utf8'), 'first');

  const { mtime } = await stat(thing);
  await writeFile(thing, 'other');
  await utimes(thing, mtime, mtime);
  assert.equal(await findCached(options), null);
  await cached({ ...options, build: put('again') });
  assert.equal(await readFile(thing, 'utf8'), 'again');

  await writeFile(path.join(path.dirname(thing), 'added'), '');
  assert.equal(await findCached(options), null, 'a file more');
  await cached({ ...options, build: put('once more') });
  await chmod(thing, 0o666);
  assert.equal(await findCached(options), null, 'others may write to it');
});

test('a copied cache is read before it is used, and then counts', async (t) => {
  const folder = await scratch(t);
  const options = { kind: 'k', key: 'a', keep: 1 };
  const from = { ESCADA_CACHE_DIR: path.join(folder, 'from') };
  const to = { ESCADA_CACHE_DIR: path.join(folder, 'to') };
  await cached({ ...options, env: from, build: put('x') });
  await cp(from.ESCADA_CACHE_DIR, to.ESCADA_CACHE_DIR, { recursive: true, preserveTimestamps: true });
  assert.equal(await findCached({ ...options, env: to }), path.join(to.ESCADA_CACHE_DIR, 'k/a'));
  await writeFile(path.join(to.ESCADA_CACHE_DIR, 'k/a/thing'), 'y');
  assert.equal(await findCached({ ...options, env: to }), null);
});

test('a record that names other digests than the pinned ones does not count', async (t) => {
  const env = { ESCADA_CACHE_DIR: await scratch(t) };
  const options = { kind: 'k', key: 'a', keep: 1, env };
  const sha256 = createHash('sha256').update('x').digest('hex');
  await cached({ ...options, build: put('y') });
  assert.equal(await findCached({ ...options, pins: { thing: sha256 } }), null);
  await cached({ ...options, pins: { thing: sha256 }, build: put('x') });
  assert.notEqual(await findCached({ ...options, pins: { thing: sha256 } }), null);
});

test('the cache is private, also where the folder was open before', async (t) => {
  const folder = await scratch(t);
  const env = { ESCADA_CACHE_DIR: path.join(folder, 'made/here') };
  const options = { kind: 'k', key: 'a', keep: 1, build: put('x') };
  const modes = async (): Promise<string[]> => {
    const places = ['', 'k', 'k/a'].map((name) => path.join(env.ESCADA_CACHE_DIR, name));
    return await Promise.all(places.map(async (place) => ((await stat(place)).mode & 0o777).toString(8)));
  };
  await cached({ ...options, env });
  assert.deepEqual(await modes(), ['700', '700', '700']);
  await chmod(env.ESCADA_CACHE_DIR, 0o777);
  await cached({ ...options, env });
  assert.deepEqual(await modes(), ['700', '700', '700']);
});

test('a cache of another user is refused with what to do', async (t) => {
  const isRoot = process.getuid?.() === 0;
  // Who is not root cannot give a folder away, and finds one of another user at the top.
  const env = { ESCADA_CACHE_DIR: isRoot ? await scratch(t) : '/' };
  const owner = isRoot ? 12345 : 0;
  if (isRoot) await chown(env.ESCADA_CACHE_DIR, owner, owner);
  await assert.rejects(
    cached({ kind: 'k', key: 'a', keep: 1, env, build: put('x') }),
    (error: { code: string; message: string; advice: string[] }) => {
      assert.equal(error.code, 'SETUP_CACHE_UNSAFE');
      assert.ok(error.message.includes(`${env.ESCADA_CACHE_DIR} belongs to another user (uid ${owner}`));
      assert.match(error.advice.join(' '), /ESCADA_CACHE_DIR/);
      return true;
    },
  );
});
