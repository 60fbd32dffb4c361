/** `npm run build:schemas`: writes `schemas/generated/*.json` and the generated pages of `docs/`. A test fails when they are stale. */
import { mkdir, writeFile } from 'node:fs/promises';
import { PAGES } from './pages.ts';
import { PUBLISHED, schemaText } from './published.ts';

const folder = new URL('../../schemas/generated/', import.meta.url);
await mkdir(folder, { recursive: true });
for (const [name, schema] of Object.entries(PUBLISHED)) {
  await writeFile(new URL(`${name}.json`, folder), schemaText(schema));
}
for (const [name, text] of Object.entries(PAGES)) {
  await writeFile(new URL(`../../docs/${name}`, import.meta.url), await text());
}
