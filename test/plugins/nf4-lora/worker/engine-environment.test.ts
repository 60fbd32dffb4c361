import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { engineEnvironment } from '../../../../plugins/nf4-lora/worker/spawn-child.ts';

suite('environment of the engine', () => {
  test('settings are passed, tokens, keys and everything unknown are not', () => {
    const passed = {
      PATH: '/bin',
      HOME: '/root',
      LANG: 'C',
      LC_ALL: 'C.UTF-8',
      TZ: 'UTC',
      TMPDIR: '/tmp',
      OMP_NUM_THREADS: '2',
      RAYON_NUM_THREADS: '2',
      CUDA_VISIBLE_DEVICES: '0',
      NVIDIA_VISIBLE_DEVICES: 'all',
      ESCADA_ENGINE_ADDON: '/e.node',
      ESCADA_HOME: '/home',
    };
    const kept = {
      HF_TOKEN: 'secret',
      TEMPORAL_API_KEY: 'secret',
      AWS_SECRET_ACCESS_KEY: 'secret',
      NODE_OPTIONS: '--require=/x.js',
      LD_PRELOAD: '/x.so',
      PATHS: 'x',
      MY_PATH: 'x',
    };
    assert.deepEqual(engineEnvironment({ ...passed, ...kept }), passed);
  });
});
