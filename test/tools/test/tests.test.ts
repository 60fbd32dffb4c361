import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { parseCargoTests } from '../../../runtime/bootstrap/cargo-report.mjs';
import { packagesAreCurrent } from '../../../runtime/bootstrap/packages.mjs';
import { BROWSER_TIER, listTestFiles, tierOf } from '../../../tools/test/tiers.mjs';
import { isAtLeast, versionIn } from '../../../runtime/bootstrap/versions.mjs';
import { ROOT, scratch } from '../../runtime/bootstrap/support.ts';

const CARGO_OUTPUT = `
     Running unittests src/lib.rs (target/debug/deps/escada_engine_core-0a1b2c3d4e5f6071)

running 3 tests
test adamw::step ... ok
test gemm::avx512 ... ignored, this processor has no AVX-512
test rope::half ... FAILED

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

   Doc-tests escada_engine_core

running 1 test
test src/lib.rs - f (line 3) ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s
`;

test('cargo output gives counts, and names with reasons', () => {
  const summary = parseCargoTests(CARGO_OUTPUT);
  const file = 'escada_engine_core src/lib.rs';
  assert.deepEqual(summary, {
    passed: 2,
    failed: 1,
    skipped: [{ file, name: 'gemm::avx512', reason: 'this processor has no AVX-512' }],
    failures: [{ file, name: 'rope::half', reason: 'see above' }],
  });
});

test('every test file has its tier', async () => {
  assert.equal(tierOf('test/schemas/common/json.test.ts'), 1);
  assert.equal(tierOf('test/plugins/metrics/chrf.test.ts'), 1);
  assert.equal(tierOf('test/workflows/permits.test.ts'), 1);
  assert.equal(tierOf('test/workflows/durable/ladder.test.ts'), 2);
  assert.equal(tierOf('test/activities/store.test.ts'), 2);
  assert.equal(tierOf('test/architecture/import-rules.test.ts'), 3);
  assert.equal(tierOf('test/histories/replay.test.ts'), 3);
  assert.equal(tierOf('test/plugins/nf4-lora/client.test.ts'), 4);
  assert.equal(tierOf('test/whole/quickstart.test.ts'), 5);
  assert.equal(tierOf('test/browser/report.test.ts'), BROWSER_TIER);
  assert.ok((await listTestFiles(ROOT)).includes('test/tools/test/tests.test.ts'));
});

test('installed packages are compared with the lock file, optional ones may be absent', async (t) => {
  const root = await scratch(t);
  const write = (file: string, packages: object): Promise<void> =>
    writeFile(path.join(root, file), JSON.stringify({ packages }));
  await mkdir(path.join(root, 'node_modules'));
  const a = { version: '1.0.0', integrity: 'sha512-a' };
  await write('package-lock.json', {
    '': {},
    'node_modules/a': a,
    'node_modules/win': { ...a, optional: true },
  });
  assert.equal(await packagesAreCurrent(root), false);
  await write('node_modules/.package-lock.json', { 'node_modules/a': a });
  assert.equal(await packagesAreCurrent(root), true);
  await write('node_modules/.package-lock.json', { 'node_modules/a': { ...a, version: '1.0.1' } });
  assert.equal(await packagesAreCurrent(root), false);
});

test('versions compare by number', () => {
  assert.equal(versionIn('go version go1.26.8 linux/amd64'), '1.26.8');
  assert.equal(versionIn('no number'), null);
  assert.ok(isAtLeast('1.100.0', '1.89.0'));
  assert.ok(isAtLeast('22.0', '22.0.0'));
  assert.ok(!isAtLeast('1.26.3', '1.26.4'));
});
