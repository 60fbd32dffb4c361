/** What a user can do wrong, each with its own message and code, through every way in. No run is left Running. */
import assert from 'node:assert/strict';
import { copyFile, cp, mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { ErrorCode } from '../../schemas/errors/error-codes.ts';
import { reasonToSkip, TINY_MODEL } from './support/needs.ts';
import { Place } from './support/place.ts';
import { sampleRows, toCsv } from './support/rows.ts';
import { TestServer } from './support/server.ts';
import { TINY_ROWS, tinySpec } from './support/specs.ts';

const skip = await reasonToSkip({});
const skipEngine = await reasonToSkip({ engine: true });

/** What a user gets to read, and the code it carries. */
interface Expected {
  readonly code: ErrorCode;
  readonly says: RegExp;
}

const GOOD_CSV = toCsv(sampleRows(TINY_ROWS));

/** The last cell never ends. */
const OPEN_QUOTE = 'input,output\n"a","b"\n"c","d\n';

/** The cell that line 3 opens ends in line 4, where text follows. */
const BROKEN_QUOTES = 'input,output\n"a","b"\n"c","d\n"e","f"\n';

/** Rows whose answers are all blank. */
const NO_ANSWERS = toCsv(sampleRows(TINY_ROWS).map(({ input }) => ({ input, output: '  ' })));

const fromFile = (path: string) => tinySpec({ data: { ...tinySpec().data, source: { path } } });

/** Wrong in the spec itself: refused by the command before anything runs, and by the run when it comes another way. */
const WRONG_SPECS: readonly (Expected & { readonly name: string; readonly spec: unknown })[] = [
  {
    name: 'an empty spec',
    spec: {},
    code: 'INVALID_SPEC',
    says: /spec: is empty: give one JSON object with at least "name"/,
  },
  {
    name: 'an unknown field',
    spec: { ...tinySpec(), targt: 0.5 },
    code: 'INVALID_SPEC',
    says: /targt: is not a known field\. Did you mean "target"\?/,
  },
  {
    name: 'several wrong fields',
    spec: { ...tinySpec(), target: 2, rungs: { peft: { learningRate: [1] }, pef: {} } },
    code: 'INVALID_SPEC',
    says: /target: .*(\n.*)*/,
  },
  {
    name: 'a file that is not there',
    spec: fromFile('none.csv'),
    code: 'FILE_NOT_FOUND',
    says: /There is no file ".*none\.csv"/,
  },
  {
    name: 'a budget that is too small',
    spec: tinySpec({ budget: { seconds: 1 } }),
    code: 'BUDGET_TOO_SMALL',
    says: /budget\.seconds: 1 s do not cover the first rung \(zero-shot\), which is estimated at \d+ s\. Raise/,
  },
];

/** Wrong in the data: found by the run. */
const WRONG_DATA: readonly (Expected & {
  readonly name: string;
  readonly file: string;
  readonly text: string;
  readonly engine?: boolean;
})[] = [
  {
    name: 'a CSV with broken quotes',
    file: 'broken.csv',
    text: BROKEN_QUOTES,
    code: 'DATA_UNREADABLE',
    says: /^broken\.csv, line 4: there is text after a closing quote/,
  },
  {
    name: 'a CSV with a quote that is never closed',
    file: 'open.csv',
    text: OPEN_QUOTE,
    code: 'DATA_UNREADABLE',
    says: /^open\.csv, line 3: .*quote/,
  },
  {
    name: 'no usable row',
    file: 'blank.csv',
    text: NO_ANSWERS,
    code: 'DATA_TOO_FEW_ROWS',
    says: /0 rows are usable, but 48 are needed .*Step null-filter dropped most: 56 of 56 rows/,
    engine: true,
  },
  {
    name: 'a column that is not there',
    file: 'columns.csv',
    text: 'question,output\n"a","b"\n',
    code: 'DATA_COLUMN_MISSING',
    says: /input.*question/s,
  },
];

suite('bad input', { skip }, () => {
  let server: TestServer;
  let place: Place;

  before(async () => {
    server = await TestServer.start();
    place = await Place.open(server, 'bad');
    await writeFile(join(place.dataDir, 'rows.csv'), GOOD_CSV);
    for (const { file, text } of WRONG_DATA) await writeFile(join(place.dataDir, file), text);
    await place.startWorker();
  });

  after(async () => {
    await place?.close();
    await server?.stop();
  });

  /** Starts a run as the Web UI would: a type, a queue and an input, unchecked. Gives the failure it ends with. */
  async function failureOf(at: Place, type: string, args: unknown[]): Promise<ApplicationFailure> {
    const { temporal } = await at.client();
    const workflowId = `bad-${Math.random().toString(36).slice(2)}`;
    const handle = await temporal.workflow.start(type, {
      args,
      taskQueue: at.settings.taskQueue,
      workflowId,
    });
    const error: unknown = await handle.result().catch((reason: unknown) => reason);
    assert.ok(error instanceof WorkflowFailedError, `the run gave ${JSON.stringify(error)}`);
    assert.equal((await handle.describe()).status.name, 'FAILED');
    assert.ok(error.cause instanceof ApplicationFailure, String(error.cause));
    return error.cause;
  }

  async function expectFailure(
    type: string,
    args: unknown[],
    { code, says }: Expected,
    at = place,
  ): Promise<void> {
    const failure = await failureOf(at, type, args);
    assert.equal(failure.type, code, failure.message);
    assert.match(failure.message, says);
  }

  async function expectCommand(
    args: string[],
    { code, says }: Expected,
    exitCode = 2,
    at = place,
  ): Promise<void> {
    const result = await at.escada(args);
    assert.match(result.stderr, new RegExp(`escada: ${code}: `), result.stderr);
    assert.match(result.stderr, says);
    assert.match(result.stderr, /What to do: /);
    assert.doesNotMatch(result.stderr, /\n\s+at .*:\d+/, 'a stack trace is no message');
    assert.equal(result.code, exitCode);
  }

  async function specFile(name: string, spec: unknown): Promise<string> {
    const path = join(place.dataDir, name);
    await writeFile(path, typeof spec === 'string' ? spec : JSON.stringify(spec));
    return path;
  }

  for (const [index, { name, spec, ...expected }] of WRONG_SPECS.entries()) {
    test(`${name}: the run fails`, async () => await expectFailure('adaptModel', [spec], expected));

    test(`${name}: the command refuses`, async () => {
      await expectCommand(['start', await specFile(`wrong-${index}.json`, spec)], expected);
    });
  }

  test('every issue of a spec is reported at once', async () => {
    const failure = await failureOf(place, 'adaptModel', [
      { ...tinySpec(), target: 2, sede: 3, rungs: { peft: 1 } },
    ]);
    for (const path of ['target', 'sede', 'rungs.peft'])
      assert.match(failure.message, new RegExp(`- ${path}: `));
    assert.match(JSON.stringify(failure.details), /"path":"target"/);
  });

  test('a spec file that is empty, no JSON, or not there', async () => {
    const empty = { code: 'INVALID_SPEC', says: /empty\.json is empty: give one JSON object/ } as const;
    await expectCommand(['start', await specFile('empty.json', '')], empty);
    const text = { code: 'INVALID_SPEC', says: /text\.json is not JSON: / } as const;
    await expectCommand(['start', await specFile('text.json', '{ name: tiny }')], text);
    await expectCommand(['start', 'nowhere.json'], {
      code: 'FILE_NOT_FOUND',
      says: /There is no spec file "nowhere\.json"/,
    });
  });

  test('no input at all, and inputs that are no object', async () => {
    const empty = { code: 'INVALID_SPEC', says: /spec: is empty/ } as const;
    for (const args of [[], [undefined], [null], [[]], ['text'], [7]])
      await expectFailure('adaptModel', args, empty);
    await expectFailure('runPipeline', [], { code: 'INVALID_SPEC', says: /spec: / });
  });

  test('a workflow type that is not there', async () => {
    const known = /There is no workflow "adaptModle"\. Known: adaptModel, trainModel, runPipeline/;
    await expectFailure('adaptModle', [tinySpec()], { code: 'UNKNOWN_WORKFLOW', says: known });
  });

  test("the failure is at the head of a run, as the server's own tools show it", async () => {
    const workflowId = 'bad-head';
    const { temporal } = await place.client();
    await temporal.workflow.start('adaptModel', {
      args: [{}],
      taskQueue: place.settings.taskQueue,
      workflowId,
    });
    await temporal.workflow
      .getHandle(workflowId)
      .result()
      .catch(() => undefined);
    const { output } = await server.temporal('workflow', 'show', '--workflow-id', workflowId);
    assert.match(output, /spec: is empty: give one JSON object/);
  });

  for (const { name, file, text: _text, engine, ...expected } of WRONG_DATA) {
    test(`${name}: the run fails`, { skip: engine === true && skipEngine }, async () => {
      await expectFailure('adaptModel', [fromFile(file)], expected);
    });
  }

  test('a file outside the data roots', async () => {
    await copyFile(join(place.dataDir, 'rows.csv'), join(place.home, 'outside.csv'));
    const outside = { code: 'PATH_OUTSIDE_DATA_ROOTS', says: /is outside the data roots/ } as const;
    await expectFailure('adaptModel', [fromFile('../outside.csv')], outside);
  });

  test('broken quotes through the command that follows a run: its message and exit code', async () => {
    const [broken] = WRONG_DATA;
    assert.ok(broken);
    const spec = await specFile('broken.json', fromFile(broken.file));
    // The file is in the store by then and has no name there: the line is what helps.
    await expectCommand(['quickstart', '--spec', spec], {
      code: broken.code,
      says: /, line 4: there is text after a closing quote/,
    });
  });

  test('no worker polls the queue: the command refuses at once', async () => {
    const lonely = await Place.open(server, 'lonely');
    try {
      await writeFile(join(lonely.dataDir, 'rows.csv'), GOOD_CSV);
      await writeFile(join(lonely.dataDir, 'spec.json'), JSON.stringify(tinySpec()));
      const says = new RegExp(
        `No worker is polling task queue ${lonely.settings.taskQueue}, .*escada worker`,
      );
      await expectCommand(['start', 'spec.json'], { code: 'NO_WORKER', says }, 1, lonely);
    } finally {
      await lonely.close();
    }
  });

  test('no server: the command says where it looked', async () => {
    const { code, stderr } = await place.escada(['status', 'any'], { TEMPORAL_ADDRESS: '127.0.0.1:1' });
    assert.match(stderr, /SERVER_UNREACHABLE: No Temporal server answers at 127\.0\.0\.1:1/);
    assert.equal(code, 1);
  });

  test('a run that is not there', async () => {
    await expectCommand(['status', 'nobody'], { code: 'RUN_NOT_FOUND', says: /There is no run "nobody"/ });
  });

  test('a truncated model file', { skip: skipEngine }, async () => {
    const model = join(server.folder, 'cut-model');
    await cp(TINY_MODEL, model, { recursive: true });
    const weights = join(model, 'model.safetensors');
    await truncate(weights, (await readFile(weights)).length - 1000);
    await withModel(model, async (cut) => {
      const expected = { code: 'MODEL_FILE_INVALID', says: /model\.safetensors/ } as const;
      await expectFailure('adaptModel', [tinySpec()], expected, cut);
    });
  });

  test('a model that is not there', { skip: skipEngine }, async () => {
    await withModel(join(server.folder, 'no-model'), async (none) => {
      const expected = {
        code: 'MODEL_NOT_FOUND',
        says: /is not on this machine; looked at .*no-model/,
      } as const;
      await expectFailure('adaptModel', [tinySpec()], expected, none);
    });
  });

  async function withModel(path: string, work: (at: Place) => Promise<void>): Promise<void> {
    const other = await Place.open(server, 'model', path);
    try {
      await mkdir(other.dataDir, { recursive: true });
      await writeFile(join(other.dataDir, 'rows.csv'), GOOD_CSV);
      await other.startWorker();
      await work(other);
    } finally {
      await other.close();
    }
  }
});
