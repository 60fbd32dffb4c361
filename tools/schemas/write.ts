/** `npm run build:schemas`: writes `schemas/generated/*.json` and `docs/errors.md`. A test fails when they are stale. */
import { mkdir, writeFile } from 'node:fs/promises';
import { errorPage } from './error-page.ts';
import { PUBLISHED, schemaText } from './published.ts';

const folder = new URL('../../schemas/generated/', import.meta.url);
await mkdir(folder, { recursive: true });
for (const [name, schema] of Object.entries(PUBLISHED)) {
  await writeFile(new URL(`${name}.json`, folder), schemaText(schema));
}
await writeFile(new URL('../../docs/errors.md', import.meta.url), errorPage());
