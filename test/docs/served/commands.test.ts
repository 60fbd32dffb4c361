/** The command lines of every page, in order, as a reader types them: real server, real worker, tiny checkpoint. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { TINY_MODEL, reasonToSkip } from '../../whole/support/needs.ts';
import { placeOf, readBlocks, type Block } from '../support/blocks.ts';
import { runProgram, writePrograms } from '../support/programs.ts';
import { commandsOf, provenElsewhere, wayOf } from '../support/ways.ts';
import { Project } from './project.ts';

const skip = await reasonToSkip({ engine: true, procfs: true });
const blocks = await readBlocks();

/** Lines of a block that are run here. */
const ownLines = (block: Block): string[] =>
  wayOf(block, blocks) === 'commands'
    ? commandsOf(block).filter((line) => provenElsewhere(line) === undefined)
    : [];

/** Whether text is what a page shows; `…` on the page is anything. */
function shows(expected: string, text: string): boolean {
  const parts = expected.trim().split('…');
  const pattern = parts.map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[^]*');
  return new RegExp(`^${pattern}$`).test(text.trim());
}

async function follow(project: Project, block: Block): Promise<void> {
  const file = block.tags.get('file');
  if (file !== undefined) await project.write(file, block.text);
  let printed = '';
  for (const line of ownLines(block)) {
    if (block.tags.has('terminal')) await project.stay(line);
    else {
      const finished = /escada -- (?:report|export) (\S+)/.exec(line)?.[1];
      if (finished !== undefined) await project.ended(finished);
      const { code, stdout, stderr } = await project.run(line);
      assert.equal(code, 0, `${placeOf(block)}: ${line}\n${stdout}\n${stderr}`);
      printed += stdout;
    }
  }
  if (block.output !== null) assert.ok(shows(block.output.text, printed), `${placeOf(block)}:\n${printed}`);
}

suite('commands of the pages', { skip }, () => {
  const pages = [...new Set(blocks.filter((block) => ownLines(block).length > 0).map(({ page }) => page))];

  for (const page of pages) {
    test(page, async (t) => {
      const project = await Project.open();
      t.after(async () => await project.close());
      for (const block of blocks.filter((one) => one.page === page)) await follow(project, block);
    });
  }

  for (const block of blocks.filter((one) => one.tags.get('needs') === 'model')) {
    test(`${placeOf(block)} runs, with a model`, async (t) => {
      const room = await mkdtemp(join(tmpdir(), 'escada-docs-'));
      t.after(async () => await rm(room, { recursive: true, force: true }));
      await writePrograms(join(room, 'programs'), [block]);
      const env = { ...process.env, ESCADA_MODEL_PATH: TINY_MODEL };
      const { status, stderr } = runProgram(join(room, 'programs'), block, env);
      assert.equal(status, 0, stderr);
    });
  }
});
