import assert from 'node:assert/strict';
import { readFile, readdir, utimes, writeFile, mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { cacheFolder, cached, keyOf } from '../../tools/bootstrap/lib/cache.mjs';
import { withLock } from '../../tools/bootstrap/lib/lock.mjs';
import { scratch } from './support.ts';

/** Above every process id that Linux and macOS hand out. */
const NO_SUCH_PID = 2 ** 30;

test('the cache lies where the environment says, most specific first', () => {
  const home = { HOME: '/h' };
  assert.equal(cacheFolder(home), '/h/.cache/escada');
  assert.equal(cacheFolder({ ...home, XDG_CACHE_HOME: '/x' }), '/x/escada');
  assert.equal(cacheFolder({ ...home, XDG_CACHE_HOME: '/x', ESCADA_CACHE_DIR: '/e' }), '/e');
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
  await writeFile(path.join(shelf, '.lock'), JSON.stringify({ pid: NO_SUCH_PID, host: os.hostname() }));
  for (const [index, key] of ['a', 'b', 'c'].entries()) {
    await cached({ kind: 'k', key, keep: 1, env, build: async () => undefined });
    const used = new Date(Date.now() - 60_000 + index * 1000);
    await utimes(path.join(shelf, key), used, used);
  }
  assert.deepEqual(await readdir(shelf), ['b', 'c']);
});

test('a lock of a living process is waited for', async (t) => {
  const file = path.join(await scratch(t), 'lock');
  const order: string[] = [];
  const first = withLock(file, {}, async () => {
    await sleep(100);
    order.push('first');
  });
  await sleep(20);
  const waited: string[] = [];
  await withLock(file, { onWait: (holder) => waited.push(holder) }, async () => order.push('second'));
  await first;
  assert.deepEqual(order, ['first', 'second']);
  assert.deepEqual(waited, [`process ${process.pid} on ${os.hostname()}`]);
});
