/** `ts` and `js` blocks compile, run, and print what the page says. Those that need a model run beside the commands. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { placeOf, readBlocks } from './support/blocks.ts';
import { compile, runProgram, writePrograms } from './support/programs.ts';
import { wayOf } from './support/ways.ts';

const blocks = await readBlocks();
const programs = blocks.filter((block) => wayOf(block, blocks) === 'program');

suite('programs of the pages', () => {
  let room: string;

  before(async () => {
    room = await mkdtemp(join(tmpdir(), 'escada-docs-'));
    await writePrograms(join(room, 'programs'), programs);
  });

  after(async () => await rm(room, { recursive: true, force: true }));

  test('those in TypeScript compile, strictly', () => {
    assert.equal(compile(join(room, 'programs')), '');
  });

  for (const block of programs.filter(({ tags }) => !tags.has('needs'))) {
    test(`${placeOf(block)} runs`, () => {
      const { status, stdout, stderr } = runProgram(join(room, 'programs'), block);
      assert.equal(status, 0, stderr);
      if (block.output !== null) assert.equal(stdout, block.output.text);
    });
  }
});
