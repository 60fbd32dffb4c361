import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readSettings } from '../../runtime/settings.ts';

suite('settings', () => {
  test('an empty variable counts as not set', () => {
    const unset = readSettings({});
    for (const empty of ['', ' ']) {
      const names = [
        'ESCADA_HOME',
        'XDG_CACHE_HOME',
        'ESCADA_CACHE_DIR',
        'ESCADA_TASK_QUEUE',
        'ESCADA_DATA_ROOTS',
        'ESCADA_IO_CONCURRENCY',
        'ESCADA_STORE',
      ];
      assert.deepEqual(readSettings(Object.fromEntries(names.map((name) => [name, empty]))), unset);
    }
    assert.match(unset.home, /\.escada$/);
    assert.equal(unset.store, undefined);
  });

  test('ESCADA_STORE names the kind of artifact store', () => {
    assert.deepEqual(readSettings({ ESCADA_STORE: ' s3 ' }).store, { use: 's3' });
  });

  test('how many calls wait for a service at once is a whole number', () => {
    assert.equal(readSettings({}).ioConcurrency, 8);
    assert.equal(readSettings({ ESCADA_IO_CONCURRENCY: '32' }).ioConcurrency, 32);
    for (const text of ['0', '-1', '2.5', 'many', '1001'])
      assert.throws(() => readSettings({ ESCADA_IO_CONCURRENCY: text }), {
        code: 'INVALID_SPEC',
        message: /^ESCADA_IO_CONCURRENCY: ".*" is not a whole number from 1 to 1000/,
      });
  });

  test('a list of data roots with empty parts has none for those', () => {
    assert.deepEqual(readSettings({ ESCADA_DATA_ROOTS: ':/data:' }).dataRoots, ['/data']);
    assert.deepEqual(readSettings({ ESCADA_DATA_ROOTS: ':' }).dataRoots, readSettings({}).dataRoots);
  });
});
