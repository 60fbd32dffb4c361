/** The pages under `docs/` that are written from definitions, formatted as the repository is. */
import { readFile } from 'node:fs/promises';
import { format, type Options } from 'prettier';
import packageJson from '../../package.json' with { type: 'json' };
import { commandPage } from './command-page.ts';
import { errorPage } from './error-page.ts';
import { schemaPage } from './schema-page.ts';

const style = { ...packageJson.prettier, parser: 'markdown' } as Options;

/** Text of each page, by its name under `docs/`. Takes seconds. */
export const PAGES: Readonly<Record<string, () => Promise<string>>> = {
  'errors.md': async () => errorPage(),
  'command.md': async () =>
    await format(
      await commandPage(await readFile(new URL('../../docs/command.md', import.meta.url), 'utf8')),
      style,
    ),
  'schemas.md': async () => await format(schemaPage(), style),
};
