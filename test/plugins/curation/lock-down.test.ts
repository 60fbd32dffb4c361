import assert from 'node:assert/strict';
import { mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import type { StepContext } from '../../../plugins/sdk/contracts/step-kind.ts';
import { curationOptionsSchema } from '../../../plugins/curation/options.ts';
import { withDatabase, type StepDatabase } from '../../../plugins/curation/worker/step-database.ts';
import { literal } from '../../../plugins/curation/worker/sql.ts';
import { Harness } from './harness.ts';

const OPTIONS = curationOptionsSchema.parse({ memoryLimitMiB: 128, threads: 2 });

/** Runs SQL in a step's database. */
async function inStep<T>(
  work: (database: StepDatabase, context: StepContext) => Promise<T>,
  options = OPTIONS,
): Promise<T> {
  const harness = await Harness.open();
  try {
    const context = await harness.context();
    return await withDatabase(context, options, async (database) => await work(database, context));
  } finally {
    await harness.close();
  }
}

suite("a step's database", () => {
  test('reads and writes nothing outside of scratch and store, and no statement lifts the restriction', async () => {
    const outside = await mkdtemp(join(tmpdir(), 'escada-outside-'));
    await writeFile(join(outside, 'x.csv'), 'a\n1\n');
    await inStep(async (database, context) => {
      await symlink(join(outside, 'x.csv'), join(context.scratchDir, 'link.csv'));
      for (const sql of [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_blob('/etc/*')",
        `SELECT * FROM read_csv(${literal(join(outside, 'x.csv'))})`,
        `SELECT * FROM read_text(${literal(join(context.scratchDir, 'link.csv'))})`,
        `SELECT * FROM read_text(${literal(join(context.scratchDir, '../../../../etc/hostname'))})`,
        `COPY (SELECT 1) TO ${literal(join(outside, 'y.parquet'))} (FORMAT parquet)`,
        `ATTACH ${literal(join(outside, 'z.db'))}`,
        "SELECT * FROM glob('/etc/*')",
        'SET enable_external_access = true',
        "SET allowed_directories = ['/']",
        "SET memory_limit = '100GiB'",
        'RESET lock_configuration',
        'INSTALL httpfs',
        'LOAD httpfs',
      ]) {
        await assert.rejects(database.rows(sql), /Permission Error|locked|cannot|Cannot/, sql);
      }
    });
  });

  test('still reads CSV, JSON Lines and Parquet of the store and of scratch', async () => {
    await inStep(async (database, context) => {
      const path = join(context.scratchDir, 'x.csv');
      await writeFile(path, 'a\n1\n');
      const stored = await context.store.localPath(await context.store.putFile(path, 'text/csv'));
      const parquet = join(context.scratchDir, 'x.parquet');
      await database.run(`COPY (SELECT 2 AS a) TO ${literal(parquet)} (FORMAT parquet)`);
      const kept = await context.store.localPath(await context.store.putFile(parquet, 'x/y'));
      assert.equal(await database.number(`SELECT a FROM read_csv(${literal(stored)})`), 1);
      assert.equal(await database.number(`SELECT a FROM read_parquet(${literal(kept)})`), 2);
    });
  });

  test('spills into scratch, up to the limit; beyond it the step fails for good and says where', async () => {
    const options = { ...OPTIONS, maxSpillMiB: 64 };
    const wide = 'SELECT random() AS a, random() AS b, random() AS c, random() AS d FROM range(12000000)';
    await assert.rejects(
      inStep(async (database) => await database.run(`CREATE TABLE wide AS ${wide}`), options),
      {
        code: 'DISK_FULL',
        message: /^A curation step needs more than the 64\.0 MiB of disk.*runs.*maxSpillMiB/,
      },
    );
  });
});

test('folders of the store and of data may have names that are patterns to the table engine', async () => {
  const harness = await Harness.open({}, undefined, 'escada-[1]*?{a,b}-');
  try {
    await mkdir(join(harness.folder, 'data [x]*?'));
    for (const [name, content] of [
      ['rows[1]*?.csv', 'question,answer\na,b\n'],
      ['data [x]*?/rows.jsonl', '{"question":"a","answer":"b"}\n'],
    ] as const) {
      const path = await harness.file(name, content);
      const columns = { input: 'question', output: 'answer' };
      const output = await harness.run('curate.read@1', { source: { path }, columns });
      assert.equal(output['rows'], 1);
      const filtered = await harness.run('curate.null-filter@1', { dataset: output['dataset'] });
      assert.equal(filtered['rows'], 1);
      const split = {
        source: { artifact: output['dataset'], format: 'parquet' },
        columns: { input: 'input', output: 'output' },
      };
      assert.equal((await harness.run('curate.read@1', split))['rows'], 1);
    }
  } finally {
    await harness.close();
  }
});

test('messages about a stored file name it as its owner wrote it', async () => {
  const harness = await Harness.open();
  try {
    const path = join(harness.folder, 'mine.csv');
    await writeFile(path, 'question,answer\na,b\nc\n');
    const artifact = await harness.store.putFile(path, 'text/csv');
    const source = { artifact, format: 'csv', name: '../data/mine.csv' };
    const read = async (input: string) =>
      await harness.run('curate.read@1', { source, columns: { input, output: 'answer' } });
    await assert.rejects(read('question'), {
      code: 'DATA_UNREADABLE',
      message: /^\.\.\/data\/mine\.csv, line 3: /,
    });
    await assert.rejects(read('Question!'), {
      code: 'DATA_COLUMN_MISSING',
      message: /^\.\.\/data\/mine\.csv has no column "Question!"/,
    });
    assert.match(harness.kind('curate.read@1').summarize?.({ source }) ?? '', /mine\.csv/);
  } finally {
    await harness.close();
  }
});
