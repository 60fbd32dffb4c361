import assert from 'node:assert/strict';
import { glob, readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PACKAGE_ROOT, moduleUrl } from '../../plugins/sdk/package-paths.ts';

/** What the npm package holds compiled. */
const PACKED = ['*.ts', '{activities,cli,client,plugins,schemas,worker,workflows}/**/*.ts'];
const HELPER = 'plugins/sdk/package-paths.ts';

/** Uses of a module's own place that would point elsewhere, or at nothing, in the compiled tree. */
const OWN_PLACE = /new URL\([^;]*import\.meta\.url|import\.meta\.(?:dirname|filename|resolve)|\b__dirname\b/;

test('the product finds its own files only through the helper that knows both trees', async () => {
  const found: string[] = [];
  let read = 0;
  for await (const file of glob(PACKED, { cwd: PACKAGE_ROOT })) {
    read += 1;
    if (OWN_PLACE.test(await readFile(join(PACKAGE_ROOT, file), 'utf8'))) found.push(file);
  }
  assert.ok(read > 150, `only ${read} files were read`);
  assert.deepEqual(found, [HELPER]);
});

test('every module that is started by its path is there', async () => {
  let seen = 0;
  for await (const file of glob(PACKED, { cwd: PACKAGE_ROOT })) {
    const source = await readFile(join(PACKAGE_ROOT, file), 'utf8');
    for (const [, path = ''] of source.matchAll(/module(?:Url|Of)\('([^']+)'/g)) {
      seen += 1;
      assert.ok(existsSync(new URL(path, `file://${join(PACKAGE_ROOT, file)}`)), `${file}: ${path}`);
    }
  }
  assert.ok(seen >= 6, `only ${seen} were seen`);
});

test('among the sources, paths are those of the clone', () => {
  assert.ok(existsSync(join(PACKAGE_ROOT, 'package.json')));
  assert.equal(
    fileURLToPath(moduleUrl('./import-rules.test.ts', import.meta.url)).endsWith('/import-rules.test.ts'),
    true,
  );
});
