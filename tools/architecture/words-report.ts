/**
 * Prints how often each word of `words.mjs` is in the tree.
 *   node tools/architecture/words-report.ts            one line per word
 *   node tools/architecture/words-report.ts climb      every place of one word
 */
import { glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NOT_READ, READ, WORDS, hitsOf } from './words.mjs';

/** A place where a word is; line 0 is the path of the file itself. */
export interface Hit {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/**
 * Every place of every word, by its id; with `allowed` those that have a reason, too. Also how many files were read, so
 * that a test sees that some were.
 */
export async function findWords(
  root: string,
  { allowed = false } = {},
): Promise<{ files: number; hits: Map<string, Hit[]> }> {
  const hits = new Map<string, Hit[]>(WORDS.map(({ id }) => [id, []]));
  let files = 0;
  const exclude = (name: string) => /^(node_modules|target|dist|\.git)$/.test(name);
  for await (const file of glob(READ, { cwd: root, exclude })) {
    if (NOT_READ.test(file)) continue;
    files += 1;
    const text = await readFile(join(root, file), 'utf8');
    for (const word of WORDS) {
      const asked = allowed ? { ...word, allow: {} } : word;
      hits.get(word.id)?.push(...hitsOf(asked, file, text));
    }
  }
  return { files, hits };
}

if (import.meta.main) {
  const { hits } = await findWords(join(import.meta.dirname, '../..'));
  const asked = process.argv[2];
  if (asked === undefined) {
    for (const { id, pending, use } of WORDS) {
      const state = pending ? 'pending' : 'refused';
      console.log(`${String(hits.get(id)?.length).padStart(4)}  ${state}  ${id}  →  ${use}`);
    }
  } else {
    for (const { file, line, text } of hits.get(asked) ?? []) console.log(`${file}:${line}: ${text}`);
  }
}
