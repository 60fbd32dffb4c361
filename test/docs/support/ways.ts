/** How each block is proven: by which test, or why by none. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../whole/support/needs.ts';
import { placeOf, type Block } from './blocks.ts';
import { PROVEN_ELSEWHERE } from './proven-elsewhere.ts';

/**
 * - `not-run`: the fence says why.
 * - `test`: the fence names a test that reads this page and runs the block.
 * - `excerpt`: the block is a part of a file that runs elsewhere.
 * - `output`: what the block before it prints.
 * - `json`, `program`, `file`, `commands`: run by the tests beside this file.
 */
export type Way = 'not-run' | 'test' | 'excerpt' | 'output' | 'json' | 'program' | 'file' | 'commands';

const LANGUAGES: Readonly<Record<string, Way>> = {
  json: 'json',
  js: 'program',
  ts: 'program',
  csv: 'file',
  sh: 'commands',
};

/** The way of a block, or what is wrong with it. */
export function wayOf(block: Block, blocks: readonly Block[]): Way | Error {
  const { tags, language } = block;
  if (tags.has('not-run')) return reasoned(block);
  if (tags.has('test')) return testOf(block);
  if (tags.has('excerpt')) return excerptOf(block);
  const isOutput = ({ page, output }: Block) => page === block.page && output?.line === block.line;
  if (language === 'text') {
    const before = blocks.find(isOutput);
    const printed = before !== undefined && ['js', 'ts', 'sh'].includes(before.language);
    return printed && !before.tags.has('not-run') ? 'output' : wrong(block, 'follows nothing that is run');
  }
  if (language === 'json' && !tags.has('schema')) return wrong(block, 'names no schema="…"');
  if (language === 'csv' && !tags.has('file')) return wrong(block, 'names no file="…"');
  return LANGUAGES[language] ?? wrong(block, `cannot be run: there is no way for the language "${language}"`);
}

const wrong = (block: Block, what: string) =>
  new Error(`${placeOf(block)}: the ${block.language} block ${what} (test/docs/support/ways.ts)`);

function reasoned(block: Block): Way | Error {
  const reason = block.tags.get('reason') ?? '';
  return reason.length >= 10 ? 'not-run' : wrong(block, 'is not run and gives no reason="…"');
}

function testOf(block: Block): Way | Error {
  const test = block.tags.get('test') ?? '';
  if (!/^test\/.*\.test\.ts$/.test(test) || !existsSync(join(ROOT, test)))
    return wrong(block, `names the test ${test}, which is not there`);
  const reads = readFileSync(join(ROOT, test), 'utf8').includes(block.page);
  return reads ? 'test' : wrong(block, `names ${test}, which does not read ${block.page}`);
}

const squeezed = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();

function excerptOf(block: Block): Way | Error {
  const file = block.tags.get('excerpt') ?? '';
  if (!existsSync(join(ROOT, file))) return wrong(block, `is an excerpt of ${file}, which is not there`);
  // A file of the product, of an example or of a test: each of them is run by tests of its own.
  const whole = squeezed(readFileSync(join(ROOT, file), 'utf8'));
  return whole.includes(squeezed(block.text)) ? 'excerpt' : wrong(block, `is not what ${file} says`);
}

/** The command lines of a `sh` block: comments dropped, continued lines joined. */
export function commandsOf({ text }: Block): string[] {
  return text
    .replaceAll(/\s*\\\n\s*/g, ' ')
    .split('\n')
    .map((line) => line.replace(/(^|\s+)#\s.*$/, '').trim())
    .filter((line) => line !== '');
}

/** The test that runs a command line instead of the pages' own; undefined: the line is run as it is. */
export function provenElsewhere(line: string): (typeof PROVEN_ELSEWHERE)[string] | undefined {
  return Object.hasOwn(PROVEN_ELSEWHERE, line) ? PROVEN_ELSEWHERE[line] : undefined;
}
