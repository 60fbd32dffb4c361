/** The bundle of the product's workflows, made once for all test files. */
import { createHash } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { DefaultLogger, bundleWorkflowCode } from '@temporalio/worker';
import { publishFile } from '../../../plugins/sdk/publish.ts';
import { WORKFLOWS_PATH } from '../../../worker/roles.ts';
import { ROOT } from '../../whole/support/needs.ts';

/** Beside the packages that go into it: nobody else's to write, and gone with them. */
const FOLDER = join(ROOT, 'node_modules/.cache/escada-workflows');

/** What workflows may import: the rules of the architecture allow values from here only. */
const SOURCES = ['workflows', 'schemas'];

/** Bundles the workflows, or takes the bundle that another test file has made of the very same sources. */
export async function bundledWorkflows(): Promise<{ readonly code: string }> {
  const path = join(FOLDER, `${await digestOfSources()}.js`);
  const made = await readFile(path, 'utf8').catch(() => null);
  if (made !== null) return { code: made };
  const { code } = await bundleWorkflowCode({
    workflowsPath: WORKFLOWS_PATH,
    logger: new DefaultLogger('ERROR'),
  });
  await publishFile(path, code);
  for (const name of await readdir(FOLDER))
    if (name.endsWith('.js') && name !== basename(path)) await rm(join(FOLDER, name), { force: true });
  return { code };
}

async function digestOfSources(): Promise<string> {
  const hash = createHash('sha256').update(ROOT);
  const paths = ['package-lock.json'];
  for (const folder of SOURCES) {
    const names = await readdir(join(ROOT, folder), { recursive: true });
    paths.push(...names.filter((name) => name.endsWith('.ts')).map((name) => join(folder, name)));
  }
  for (const path of paths.sort())
    hash
      .update(`${path}\0`)
      .update(await readFile(join(ROOT, path)))
      .update('\0');
  return hash.digest('hex').slice(0, 16);
}
