/** Every code block of every page has a way to be run, and what is not run says why. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { ROOT } from '../whole/support/needs.ts';
import { parseBlocks, placeOf, readBlocks } from './support/blocks.ts';
import { PROVEN_ELSEWHERE } from './support/proven-elsewhere.ts';
import { commandsOf, provenElsewhere, wayOf } from './support/ways.ts';

const blocks = await readBlocks();

suite('code blocks of the pages', () => {
  test('each has a way to be run', (t) => {
    const ways = blocks.map((block) => ({ block, way: wayOf(block, blocks) }));
    assert.ok(blocks.length > 20, `only ${blocks.length} blocks were read`);
    const names = ways.map(({ way }) => (way instanceof Error ? 'wrong' : way));
    const count = (name: string) => names.filter((one) => one === name).length;
    const counts = [...new Set(names)].map((name) => `${name} ${count(name)}`);
    t.diagnostic(`${blocks.length} blocks: ${counts.join(', ')}`);
    for (const { block } of ways.filter(({ way }) => way === 'not-run'))
      t.diagnostic(`not run: ${placeOf(block)}: ${block.tags.get('reason')}`);
    const wrong = ways.flatMap(({ way }) => (way instanceof Error ? [way.message] : []));
    assert.deepEqual(wrong, []);
  });

  test('what other tests run is run by them, and is still on a page', async () => {
    const lines = new Set(blocks.filter(({ language }) => language === 'sh').flatMap(commandsOf));
    for (const [line, { file, shows }] of Object.entries(PROVEN_ELSEWHERE)) {
      assert.ok(lines.has(line), `no page has the line "${line}"`);
      const source = await readFile(join(ROOT, file), 'utf8');
      assert.ok(source.includes(shows), `${file} does not show "${shows}", for "${line}"`);
    }
  });
});

suite('the rules themselves', () => {
  const wayIn = (markdown: string) => {
    const found = parseBlocks('docs/x.md', markdown);
    return found.map((block) => wayOf(block, found)).map((way) => (way instanceof Error ? 'wrong' : way));
  };

  test('a block without a way is refused', () => {
    assert.deepEqual(wayIn('```python\nprint(1)\n```\n'), ['wrong']);
    assert.deepEqual(wayIn('```json\n{}\n```\n'), ['wrong']);
    assert.deepEqual(wayIn('```text\nalone\n```\n'), ['wrong']);
    assert.deepEqual(wayIn('```sh not-run\nrm x\n```\n'), ['wrong']);
    assert.deepEqual(wayIn('```ts test=test/absent.test.ts\n1;\n```\n'), ['wrong']);
    assert.deepEqual(wayIn('```ts excerpt=index.ts\nno part of it\n```\n'), ['wrong']);
    assert.deepEqual(wayIn('```\nno language\n```\n'), ['wrong']);
    assert.throws(() => wayIn('```sh = x\n1\n```\n'), /not an info string/);
  });

  test('a block with one is taken', () => {
    assert.deepEqual(wayIn('```js\n1;\n```\n\n```text\n```\n'), ['program', 'output']);
    assert.deepEqual(wayIn('- list\n\n  ```json schema=flowchart\n  {}\n  ```\n'), ['json']);
    assert.deepEqual(wayIn('```sh not-run reason="installs Docker"\nx\n```\n'), ['not-run']);
  });

  test('comments and continued lines of commands', () => {
    const [block] = parseBlocks('docs/x.md', '```sh\n# first\nnpm test -- \\\n  --tier 1   # one\n```\n');
    assert.ok(block !== undefined);
    assert.deepEqual(commandsOf(block), ['npm test -- --tier 1']);
    assert.equal(provenElsewhere('npm start')?.file, 'test/whole/start.test.ts');
    assert.equal(provenElsewhere('toString'), undefined);
  });
});
