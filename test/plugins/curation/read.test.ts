import assert from 'node:assert/strict';
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import { isEscadaFailure } from '../../../plugins/sdk/contracts/failure.ts';
import { Harness, csvOf } from './harness.ts';

const COLUMNS = { input: 'in', output: 'out' };

suite('curate.read@1', () => {
  let harness: Harness;
  before(async () => {
    harness = await Harness.open();
  });
  after(() => harness.close());

  /** Reads `content` and demands a failure with this code whose message fits all patterns. */
  async function refuses(name: string, content: string | Uint8Array, code: string, ...patterns: RegExp[]) {
    await harness.file(name, content);
    await assert.rejects(harness.read(name), (error: unknown) => {
      assert.ok(isEscadaFailure(error), String(error));
      assert.equal(error.code, code, error.message);
      for (const pattern of patterns) assert.match(error.message, pattern);
      return true;
    });
  }

  async function readRows(name: string, content: string | Uint8Array, columns = COLUMNS) {
    await harness.file(name, content);
    const output = await harness.read(name, columns);
    return { output, rows: await harness.rows(output['dataset']) };
  }

  test('reads CSV with quotes, line breaks inside fields and null cells', async () => {
    const { output, rows } = await readRows('good.csv', 'in,x,out\n"a\nb",1,"say ""hi"""\nc,2,\n\n,3,d\n');
    assert.deepEqual(rows, [
      { row: '1', id: 'r1', input: 'a\nb', output: 'say "hi"' },
      { row: '2', id: 'r2', input: 'c', output: null },
      { row: '3', id: 'r3', input: null, output: 'd' },
    ]);
    assert.deepEqual(output['columns'], ['in', 'x', 'out']);
    assert.equal(output['rows'], 3);
    assert.equal(output['dropped'], 0);
    assert.equal(output['format'], 'csv');
    assert.equal(output['sourceSizeBytes'], 41);
    assert.match(output['sourceSha256'] as string, /^[0-9a-f]{64}$/);
    assert.deepEqual(await harness.json(output['droppedSamples']), []);
  });

  test('reads CR LF, a missing last line end, a byte order mark and other delimiters', async () => {
    const expected = [{ row: '1', id: 'r1', input: 'a', output: 'b, c' }];
    for (const [name, content] of Object.entries({
      'crlf.csv': 'in,out\r\na,"b, c"\r\n',
      'no-end.csv': 'in,out\na,"b, c"',
      'mark.csv': '\ufeff"in",out\na,"b, c"\n',
      'semicolon.csv': 'in;out\na;b, c\n',
      'pipe.csv': 'in|out\na|"b, c"\n',
      'blank-lines.csv': '\n\nin,out\n\na,"b, c"\n\n',
      'spaces.csv': ' in , out \na,"b, c"\n',
    })) {
      assert.deepEqual((await readRows(name, content)).rows, expected, name);
    }
  });

  test('reads TSV without quotes', async () => {
    const { rows } = await readRows('good.tsv', 'in\tout\n"a" inch\t5" long\n');
    assert.deepEqual(rows, [{ row: '1', id: 'r1', input: '"a" inch', output: '5" long' }]);
  });

  test('reads JSON Lines: strings as they are, other values as JSON', async () => {
    const lines = '{"in":"a","out":1.5}\n\n{"out":{"k":[1]},"in":null}\n{"in":"ü\\n","out":"x","more":1}\n';
    const { output, rows } = await readRows('good.jsonl', lines);
    assert.deepEqual(rows, [
      { row: '1', id: 'r1', input: 'a', output: '1.5' },
      { row: '2', id: 'r2', input: null, output: '{"k":[1]}' },
      { row: '3', id: 'r3', input: 'ü\n', output: 'x' },
    ]);
    assert.deepEqual(output['columns'], ['in', 'out', 'more']);
  });

  test('one JSON key may be both input and output, and may first appear late', async () => {
    const late = `${'{"in":"a"}\n'.repeat(1200)}{"in":"b","out":"c"}\n`;
    const { output } = await readRows('late.jsonl', late);
    assert.equal(output['rows'], 1201);
    const { rows } = await readRows('same.jsonl', '{"in":"a"}\n', { input: 'in', output: 'in' });
    assert.deepEqual(rows, [{ row: '1', id: 'r1', input: 'a', output: 'a' }]);
  });

  test('reads Parquet of any column type, and groups', async () => {
    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    const select = "SELECT 7 AS in, ['x', 'y'] AS out, 'g' AS g UNION ALL SELECT NULL, NULL, NULL";
    await connection.run(`COPY (${select}) TO '${join(harness.folder, 'good.parquet')}' (FORMAT parquet)`);
    connection.closeSync();
    const output = await harness.read('good.parquet', { ...COLUMNS, group: 'g' });
    assert.deepEqual(await harness.rows(output['dataset']), [
      { row: '1', id: 'r1', input: '7', output: '["x","y"]', grp: 'g' },
      { row: '2', id: 'r2', input: null, output: null, grp: null },
    ]);
    assert.deepEqual(output['columns'], ['in', 'out', 'g']);
  });

  test('reads an artifact in the stated format', async () => {
    const artifact = await harness.store.putBytes(Buffer.from('in,out\na,b\n'), 'text/csv');
    const output = await harness.run('curate.read@1', {
      source: { artifact, format: 'csv' },
      columns: COLUMNS,
    });
    assert.equal(output['rows'], 1);
    assert.equal(output['sourceSha256'], artifact.sha256);
  });

  test('file and folder names mean nothing to it', async () => {
    await mkdir(join(harness.folder, 'part=1'), { recursive: true });
    await harness.file('odd.csv', 'in,out\na,b\n');
    await rename(join(harness.folder, 'odd.csv'), join(harness.folder, "part=1/a[1]*'?.csv"));
    assert.deepEqual(await harness.rows((await harness.read("part=1/a[1]*'?.csv"))['dataset']), [
      { row: '1', id: 'r1', input: 'a', output: 'b' },
    ]);
  });

  test('keeps the order of the source over many blocks', async () => {
    const many = Array.from({ length: 60_000 }, (_, index) => [`in ${index}`, `line\n"${index}"`]);
    const { rows } = await readRows('many.csv', csvOf(many));
    assert.equal(rows.length, many.length);
    assert.ok(rows.every((row, index) => row['row'] === String(index + 1) && row['input'] === `in ${index}`));
  });

  test('names the line and the fault of damaged CSV', async () => {
    const bad = 'DATA_UNREADABLE';
    await refuses('open.csv', 'in,out\na,b\nc,"d\ne,f\n', bad, /open\.csv, line 3: a quote is opened/);
    await refuses('after.csv', 'in,out\n"a\nb",c\nd,"e" f\n', bad, /line 4: .*after a closing quote/);
    await refuses('few.csv', 'in,out\na,b\n\nc\n', bad, /line 4: it has 1 fields where the header has 2/);
    await refuses('more.csv', 'in,out\na,b,c\n', bad, /line 2: it has 3 fields/);
    await refuses('mixed.csv', 'in,out\r\na,b\r\nc,d\ne,f\r\n', bad, /line 3: it ends in LF/);
    await refuses('blank.csv', 'in,out\na,b\r\n\n', bad, /line 2: it ends in CR LF/);
    await refuses('head.csv', '"in"x,out\na,b\n', bad, /line 1: .*after a closing quote/);
    await refuses('latin.csv', Buffer.from('in,out\na,b\n\xe9,c\n', 'latin1'), bad, /line 3: .*not UTF-8/);
    await refuses('utf16.csv', Buffer.from('\ufeffin,out\n', 'utf16le'), bad, /UTF-16/);
    await refuses('empty.csv', '', bad, /empty/);
    await refuses('twice.csv', 'in,in,out\na,b,c\n', bad, /more than once/);
    await refuses('short.tsv', 'in\tout\na\n', bad, /line 2: it has 1 fields .* by a tab/);
  });

  test('finds damage deep inside a large file', async () => {
    const good = csvOf(Array.from({ length: 30_000 }, (_, index) => [`in ${index}`, 'two\nlines']));
    await refuses('deep.csv', `${good}x,"y" z\n${'a,b\n'.repeat(9000)}`, 'DATA_UNREADABLE', /line 60002: /);
  });

  test('names the line and the fault of damaged JSON Lines and Parquet', async () => {
    const bad = 'DATA_UNREADABLE';
    const good = '{"in":"a","out":"b"}\n';
    await refuses(
      'cut.jsonl',
      `${good}{"in":"a","out":\n${good}`,
      bad,
      /cut\.jsonl, line 2: it is not one JSON/,
    );
    await refuses('two.jsonl', `${good}${good.trim()} ${good}`, bad, /line 2: /);
    await refuses('list.jsonl', `${good}[1]\n`, bad, /line 2: .*not an object/);
    await refuses('bytes.jsonl', Buffer.from('{"in":"\xe9","out":"b"}\n', 'latin1'), bad, /line 1: .*UTF-8/);
    await refuses('late.jsonl', `${good.repeat(3000)}"text"\n`, bad, /line 3001: /);
    await refuses('none.jsonl', '\n\n', bad, /no JSON objects/);
    await refuses('not.parquet', 'in,out\na,b\n', bad, /not a readable Parquet file/);
    await refuses('what.dat', 'in,out\n', bad, /no known extension; set "format"/);
  });

  test('lists the columns when one is missing, and guesses', async () => {
    const patterns = [
      /no column "in" \(mapped as input\)/,
      /Did you mean "In"\?/,
      /Its columns: In, answer\./,
    ];
    await refuses('case.csv', 'In,answer\na,b\n', 'DATA_COLUMN_MISSING', ...patterns);
    await refuses(
      'keys.jsonl',
      '{"in":1,"answer":2}\n',
      'DATA_COLUMN_MISSING',
      /no column "out"/,
      /in, answer/,
    );
    await assert.rejects(harness.read('nowhere.csv'), { code: 'FILE_NOT_FOUND' });
  });

  test('the cache key follows the bytes of the file, not its name', async () => {
    const input = { source: { path: 'changes.csv' }, columns: COLUMNS };
    await harness.file('changes.csv', 'in,out\na,b\n');
    const first = await harness.salt('curate.read@1', input);
    assert.equal(await harness.salt('curate.read@1', input), first);
    await harness.file('changes.csv', 'in,out\na,c\n');
    assert.notEqual(await harness.salt('curate.read@1', input), first);
  });
});
