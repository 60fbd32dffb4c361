import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../../..');

/** The first code block in a language of a page, named from the repository root. */
export async function codeBlock(page: string, language: string): Promise<string> {
  const text = await readFile(join(root, page), 'utf8');
  const block = new RegExp(`^\`\`\`${language}\\b[^\\n]*\n(.*?)^\`\`\`$`, 'ms').exec(text)?.[1];
  assert.ok(block !== undefined, `${page} has no ${language} block`);
  return block;
}

/** Runs a page's first `js` block as if it were in the repository root; it must print the page's first `text` block. */
export async function checkExample(page: string): Promise<void> {
  const script = await codeBlock(page, 'js');
  const options = { cwd: root, encoding: 'utf8', timeout: 60_000 } as const;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], options);
  assert.equal(stdout, await codeBlock(page, 'text'), stderr);
}
