import assert from 'node:assert/strict';
import { glob, readFile, readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ERROR_CODES } from '../../schemas/errors/error-codes.ts';
import { errorPage } from '../../tools/schemas/error-page.ts';
import { PUBLISHED, schemaText } from '../../tools/schemas/published.ts';

const root = new URL('../../', import.meta.url);

for (const [name, schema] of Object.entries(PUBLISHED)) {
  test(`the committed JSON Schema of ${name} is fresh`, async () => {
    const committed = await readFile(new URL(`schemas/generated/${name}.json`, root), 'utf8');
    assert.equal(committed, schemaText(schema), 'run `npm run build:schemas`');
  });
}

test('no JSON Schema is committed that nothing makes', async () => {
  const files = await readdir(new URL('schemas/generated/', root));
  assert.deepEqual(
    files.sort(),
    Object.keys(PUBLISHED)
      .map((name) => `${name}.json`)
      .sort(),
  );
});

test('docs/errors.md lists exactly the codes of the error table', async () => {
  const page = await readFile(new URL('docs/errors.md', root), 'utf8');
  assert.equal(page, errorPage(), 'run `npm run build:schemas`');
  const listed = [...page.matchAll(/^\| `([A-Z_]+)`/gm)].map((match) => match[1]);
  assert.deepEqual(listed.sort(), Object.keys(ERROR_CODES).sort());
});

test('every code of the engine is in the error table', async () => {
  const source = await readFile(new URL('plugins/nf4-lora/engine/formats/src/error.rs', root), 'utf8');
  const codes = [...source.matchAll(/Code::\w+ => "([A-Z0-9_]+)"/g)].map((match) => match[1] ?? '');
  assert.ok(codes.length >= 8, `found only ${codes.length} codes in error.rs`);
  assert.deepEqual(
    codes.filter((code) => !Object.hasOwn(ERROR_CODES, code)),
    [],
  );
});

test('a hint that several messages give is written once', async () => {
  const written: string[] = [];
  const sources = ['{activities,cli,client,core,plugins,runtime,schemas,worker,workflows}/**/*.ts', '*.ts'];
  for await (const file of glob(sources, {
    cwd: fileURLToPath(root),
    exclude: (name) => /^(node_modules|fixtures)/.test(name),
  })) {
    const text = await readFile(new URL(file, root), 'utf8');
    if (
      /or set ESCADA_MODEL_PATH|Run (\\)?`escada engine build|tried again from its newest|with (\\)?`escada (server|worker)/.test(
        text,
      )
    )
      written.push(file);
  }
  assert.deepEqual(written, ['schemas/errors/hints.ts']);
  assert.match(
    ERROR_CODES.MODEL_NOT_FOUND.help,
    /^Run `escada model pull`, or set ESCADA_MODEL_PATH to a file\.$/,
  );
});
