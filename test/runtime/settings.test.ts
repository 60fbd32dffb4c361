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
      ];
      assert.deepEqual(readSettings(Object.fromEntries(names.map((name) => [name, empty]))), unset);
    }
    assert.match(unset.storeRoot, /\.escada\/store$/);
  });

  test('a list of data roots with empty parts has none for those', () => {
    assert.deepEqual(readSettings({ ESCADA_DATA_ROOTS: ':/data:' }).dataRoots, ['/data']);
    assert.deepEqual(readSettings({ ESCADA_DATA_ROOTS: ':' }).dataRoots, readSettings({}).dataRoots);
  });
});
