/** The readers of the TypeScript side: what they read, and good files to start from. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { FileStore } from '../../core/store/file-store.ts';
import { noCheckpoints } from '../../plugins/sdk/testing/no-checkpoints.ts';
import { compilePipelineSpec } from '../../core/compile/compile-pipeline-spec.ts';
import { compileSpec } from '../../core/compile/compile-spec.ts';
import { readRows } from '../../plugins/sdk/dataset/read-rows.ts';
import { createProjectHost } from '../../plugins.ts';
import { readSpecFile } from '../../cli/lib/load-spec.ts';
import type { StepContext } from '../../plugins/sdk/contracts/step-kind.ts';
import { openIndex } from '../../plugins/retrieval/worker/lexical-index.ts';
import { lexicalRetriever } from '../../plugins/retrieval/worker/lexical-retriever.ts';
import { parseValue } from '../../plugins/sdk/schema-check/check-value.ts';

export interface Reader {
  readonly name: string;
  /** Whether the format is text. */
  readonly textual: boolean;
  /** Good contents, made once. */
  seeds(folder: string): Promise<Buffer[]>;
  /** Reads one (damaged) file in a folder of its own. Throws what the product throws. */
  read(file: string, folder: string): Promise<void>;
}

// Small, so that the bound on memory means something.
const host = createProjectHost([], { options: { curation: { memoryLimitMiB: 256, threads: 1 } } });

function contextFor(file: string, folder: string): StepContext {
  const none = (): never => {
    throw new Error('not needed to read');
  };
  return {
    store: new FileStore(join(folder, 'store')),
    languageModel: none,
    trainer: none,
    metric: none,
    retriever: none,
    resolveDataPath: async (name) => ({ path: file, name }),
    signal: new AbortController().signal,
    heartbeat: () => undefined,
    scratchDir: join(folder, 'scratch'),
    checkpoints: noCheckpoints(join(folder, 'scratch')),
  };
}

/** Reads a data file as the first curation step does. */
function tableReader(format: 'csv' | 'tsv' | 'jsonl' | 'parquet', seeds: Reader['seeds']): Reader {
  const kind = host.registry.stepKinds.get('curate.read@1');
  return {
    name: format,
    textual: format !== 'parquet',
    seeds,
    read: async (file, folder) => {
      await mkdir(join(folder, 'scratch'), { recursive: true });
      const input = { source: { path: 'data', format }, columns: { input: 'in', output: 'out' } };
      await kind.doRun(parseValue(kind.withSchema, input), contextFor(file, folder));
    },
  };
}

const texts =
  (...all: string[]) =>
  async () =>
    all.map((text) => Buffer.from(text));

/** A Parquet file of a SELECT. */
async function parquet(folder: string, select: string): Promise<Buffer> {
  const path = join(folder, 'seed.parquet');
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  try {
    await connection.run(`COPY (${select}) TO '${path}' (FORMAT parquet)`);
    return await readFile(path);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

const rowsReader: Reader = {
  name: 'dataset-rows',
  textual: false,
  seeds: async (folder) => [
    await parquet(
      folder,
      "SELECT 'r' || i AS id, 'text ' || i AS input, 'out' AS output FROM range(40) t(i)",
    ),
    await parquet(folder, "SELECT 'a' AS id, repeat('x', 4000) AS input, 'é' AS output"),
  ],
  read: async (file) => void (await readRows(file)),
};

/** The list of a packed folder: its bytes are what its digest says, but what they say may be anything. */
const folderReader: Reader = {
  name: 'packed-folder',
  textual: true,
  seeds: async (folder) => {
    const store = new FileStore(join(folder, 'store'));
    await mkdir(join(folder, 'in', 'sub'), { recursive: true });
    await writeFile(join(folder, 'in', 'a.txt'), 'A');
    await writeFile(join(folder, 'in', 'sub', 'b.txt'), 'B');
    return [await store.readBytes(await store.putFolder(join(folder, 'in')))];
  },
  read: async (file, folder) => {
    const store = new FileStore(join(folder, 'store'));
    await Promise.all(['A', 'B'].map((text) => store.putBytes(Buffer.from(text), 'text/plain')));
    const ref = await store.putBytes(await readFile(file), 'application/vnd.escada.folder+json');
    await store.localFolder(ref);
  },
};

const indexReader: Reader = {
  name: 'retrieval-index',
  textual: false,
  seeds: async (folder) => {
    const path = join(folder, 'seed.sqlite');
    const documents = Array.from({ length: 50 }, (_, at) => ({
      id: `d${at}`,
      text: `kettle ${at} boils water`,
    }));
    await lexicalRetriever.doWrite(documents, path, { signal: new AbortController().signal });
    return [await readFile(path)];
  },
  read: async (file) => {
    // On this thread: one of its own for each of a hundred thousand files would take most of the time.
    const index = openIndex(file);
    try {
      for (const { id } of index.search('which kettle boils', 5)) index.text(id);
    } finally {
      index.close();
    }
  },
};

const SPEC = {
  name: 'demo',
  task: { instruction: 'Write the shop text.' },
  data: {
    source: { path: 'data/rows.csv' },
    columns: { input: 'input', output: 'output' },
    curation: {
      name: 'own',
      nodes: [
        {
          id: 'split',
          form: 'step',
          uses: 'curate.split@1',
          with: { dataset: '${inputs.source}', sizes: '${inputs.sizes}', seed: 1 },
        },
      ],
    },
  },
  target: 0.5,
  budget: { seconds: 36000 },
  rungs: { peft: { learningRates: [0.001] } },
  profile: { tuningAllowed: true },
  flowchart: {
    name: 'c',
    start: 'end',
    nodes: { end: { form: 'end', title: 'E', verdict: 'target-not-met' } },
  },
};
const PIPELINE = {
  name: 'own',
  inputs: { files: [{ path: 'a.csv' }] },
  nodes: [
    {
      id: 'each',
      form: 'map',
      over: '${inputs.files}',
      concurrency: 2,
      body: [
        {
          id: 'read',
          form: 'step',
          uses: 'curate.read@1',
          with: { source: '${item}', columns: { input: 'in', output: 'out' } },
        },
      ],
    },
    { id: 'ask', form: 'approval', title: 'Continue?', subject: '${nodes.each.output}' },
  ],
};

export const READERS: readonly Reader[] = [
  tableReader('csv', texts('in,out\n"a ""b""",1\nc,2\n', '\ufeffin;out\r\n"x\ny";1\r\n\r\n')),
  tableReader('tsv', texts('in\tout\na "b"\t1\n')),
  tableReader(
    'jsonl',
    texts('{"in":"a","out":1}\n{"in":null,"out":{"x":[1,2]}}\n', '{"out":"é","in":"b"}\n'),
  ),
  tableReader('parquet', async (folder) => [
    await parquet(folder, 'SELECT i AS "in", [i, 2] AS "out" FROM range(30) t(i)'),
    await parquet(folder, 'SELECT \'a\'::BLOB AS "in", repeat(\'b\', 3000) AS "out"'),
  ]),
  rowsReader,
  folderReader,
  indexReader,
  {
    name: 'spec',
    textual: true,
    seeds: texts(JSON.stringify(SPEC, null, 1), JSON.stringify({ ...SPEC, flowchart: undefined })),
    read: async (file) => void compileSpec(await readSpecFile(file), host),
  },
  {
    name: 'pipeline-spec',
    textual: true,
    seeds: texts(JSON.stringify(PIPELINE, null, 1)),
    read: async (file) => void compilePipelineSpec(await readSpecFile(file), host),
  },
];
