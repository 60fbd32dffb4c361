/** Fenced code blocks of the pages that people read, with the tags of their info strings. */
import { glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from '../../whole/support/needs.ts';

/** Pages whose blocks must run. */
export const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'docs/*.md',
  'plugins/*/README.md',
  'plugins/*/PROTOCOL.md',
  'examples/*/README.md',
];

/** A fenced block. `tags` come from the info string: `sh not-run reason="why"` gives `not-run` and `reason`. */
export interface Block {
  readonly page: string;
  /** Line of the opening fence, from 1. */
  readonly line: number;
  readonly language: string;
  readonly tags: ReadonlyMap<string, string>;
  readonly text: string;
  /** The next block of the page where its language is `text`: what this one prints. */
  readonly output: Block | null;
}

/** Page and line, for messages. */
export const placeOf = ({ page, line }: Pick<Block, 'page' | 'line'>): string => `${page}:${line}`;

/** Language '' where the fence names none. Throws for an info string that is not `language tag tag="value"`. */
function parseInfo(info: string, place: string): { language: string; tags: Map<string, string> } {
  const [, language = '', rest = ''] = /^(\w*)((?:\s+[\w-]+(?:=(?:"[^"]*"|[^\s"]+))?)*)\s*$/.exec(info) ?? [];
  if (language === '' && info.trim() !== '') throw new Error(`${place}: not an info string: "${info}"`);
  const tags = [...rest.matchAll(/([\w-]+)(?:=(?:"([^"]*)"|([^\s"]+)))?/g)];
  return { language, tags: new Map(tags.map(([, name = '', quoted, bare]) => [name, quoted ?? bare ?? ''])) };
}

/** The blocks of a page, in order. Fences may be indented, as in lists. */
export function parseBlocks(page: string, markdown: string): Block[] {
  const found: Omit<Block, 'output'>[] = [];
  const fences = markdown.matchAll(/^([ \t]*)```([^\n`]*)\n(.*?)^\1```[ \t]*$/gms);
  for (const { 1: indent = '', 2: info = '', 3: body = '', index } of fences) {
    const line = markdown.slice(0, index).split('\n').length;
    const text = body.replaceAll(new RegExp(`^${indent}`, 'gm'), '');
    found.push({ page, line, text, ...parseInfo(info, placeOf({ page, line })) });
  }
  return found.map((block, at) => {
    const next = found[at + 1];
    return { ...block, output: next?.language === 'text' ? { ...next, output: null } : null };
  });
}

/** Every block of every page, pages in alphabetical order. */
export async function readBlocks(): Promise<Block[]> {
  const pages: string[] = [];
  for await (const page of glob(PAGES, { cwd: ROOT })) pages.push(page);
  const texts = pages.sort().map(async (page) => parseBlocks(page, await readFile(join(ROOT, page), 'utf8')));
  return (await Promise.all(texts)).flat();
}
