/** Links of the pages lead to files and headings that exist, and every page of `docs/` is reached from the README. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { glob, readFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { suite, test } from 'node:test';
import { ROOT } from '../whole/support/needs.ts';
import { PAGES } from './support/blocks.ts';

interface Link {
  readonly page: string;
  /** From the root; the page itself for `#heading`. */
  readonly target: string;
  readonly heading: string;
}

async function linksOf(page: string): Promise<Link[]> {
  const text = (await readFile(join(ROOT, page), 'utf8')).replaceAll(/^```.*?^```$/gms, '');
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) => {
    if (/^[a-z]+:/.test(link)) return [];
    const [path = '', heading = ''] = link.split('#');
    const target = path === '' ? page : normalize(join(dirname(page), path));
    return [{ page, target: target.replace(/\/$/, ''), heading }];
  });
}

/** Anchors as GitHub makes them of headings. */
async function anchorsOf(page: string): Promise<Set<string>> {
  const text = await readFile(join(ROOT, page), 'utf8');
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading);
  const slug = (heading: string) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s-]/gu, '')
      .replaceAll(' ', '-');
  return new Set(headings.map(slug));
}

const pages: string[] = [];
for await (const page of glob(PAGES, { cwd: ROOT })) pages.push(page);
const links = (await Promise.all(pages.map(linksOf))).flat();

suite('links of the pages', () => {
  test('lead to files that exist', () => {
    assert.ok(links.length > 40, `only ${links.length} links`);
    const broken = links.filter(({ target }) => !existsSync(join(ROOT, target)));
    assert.deepEqual(
      broken.map(({ page, target }) => `${page}: ${target}`),
      [],
    );
  });

  test('lead to headings that exist', async () => {
    for (const { page, target, heading } of links) {
      if (heading === '' || !target.endsWith('.md')) continue;
      assert.ok((await anchorsOf(target)).has(heading), `${page}: ${target}#${heading}`);
    }
  });

  test('reach every page of docs from the README', () => {
    const fromReadme = new Set(links.filter(({ page }) => page === 'README.md').map(({ target }) => target));
    const inDocs = pages.filter((page) => page.startsWith('docs/') && page !== 'docs/README.md');
    assert.deepEqual(
      inDocs.filter((page) => !fromReadme.has(page)),
      [],
    );
  });
});
