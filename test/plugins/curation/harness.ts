import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FileStore } from '../../../core/store/file-store.ts';
import { EscadaFailure } from '../../../plugins/sdk/contracts/failure.ts';
import type { LanguageModelV1 } from '../../../plugins/sdk/contracts/language-model.ts';
import type { PluginRegistrar } from '../../../plugins/sdk/contracts/plugin.ts';
import type { StepContext, StepKindV1 } from '../../../plugins/sdk/contracts/step-kind.ts';
import { noCheckpoints } from '../../../plugins/sdk/testing/no-checkpoints.ts';
import { curationPlugin } from '../../../plugins/curation/index.ts';
import { countingModel } from '../../../plugins/sdk/testing/counting-model.ts';
import type { ArtifactRef } from '../../../schemas/common/artifact-ref.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';
import type { PipelineSpecInput } from '../../../schemas/spec/pipeline-spec.ts';
import { DuckDBInstance } from '@duckdb/node-api';
import { parseValue } from '../../../plugins/sdk/schema-check/check-value.ts';

/** A store, data folder and scratch folders on a real disk, and the plugin's kinds by name. */
export class Harness {
  readonly folder: string;
  readonly store: FileStore;
  readonly heartbeats: JsonObject[] = [];
  readonly pipelines = new Map<string, PipelineSpecInput>();
  readonly #kinds = new Map<string, StepKindV1>();
  readonly #controller: AbortController;
  model: LanguageModelV1 = countingModel();
  #runs = 0;

  private constructor(folder: string, options: JsonObject, controller: AbortController) {
    this.folder = folder;
    this.store = new FileStore(join(folder, 'store'));
    this.#controller = controller;
    const registrar: Partial<PluginRegistrar> = {
      addStepKind: (kind) => void this.#kinds.set(kind.kind, kind),
      addPipeline: (name, pipeline) => void this.pipelines.set(name, pipeline),
    };
    curationPlugin.register(registrar as PluginRegistrar, options);
  }

  static async open(
    options: JsonObject = {},
    controller = new AbortController(),
    prefix = 'escada-curation-',
  ): Promise<Harness> {
    return new Harness(await mkdtemp(join(tmpdir(), prefix)), options, controller);
  }

  async close(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  abort(): void {
    this.#controller.abort(new Error('cancelled by the test'));
  }

  async file(name: string, content: string | Uint8Array): Promise<string> {
    await writeFile(join(this.folder, name), content);
    return name;
  }

  kind(name: string): StepKindV1 {
    const kind = this.#kinds.get(name);
    assert.ok(kind, `no kind ${name}`);
    return kind;
  }

  kinds(): StepKindV1[] {
    return [...this.#kinds.values()];
  }

  /** Runs a step as a worker does: options parsed, output checked against its schema. */
  async run(name: string, input: unknown): Promise<JsonObject> {
    const kind = this.kind(name);
    const output = await kind.doRun(parseValue(kind.withSchema, input), await this.context());
    return parseValue(kind.outputSchema, output);
  }

  async salt(name: string, input: unknown): Promise<string> {
    const kind = this.kind(name);
    const salt = await kind.doCacheSalt?.(
      parseValue(kind.withSchema, input),
      await this.context(),
      this.#controller.signal,
    );
    return salt ?? '';
  }

  /** Reads a file of the harness's data folder into a dataset. */
  async read(name: string, columns: JsonObject = { input: 'in', output: 'out' }): Promise<JsonObject> {
    return await this.run('curate.read@1', { source: { path: name }, columns });
  }

  /** The rows of a Parquet artifact. */
  async rows(ref: unknown): Promise<JsonObject[]> {
    const path = await this.store.localPath(ref as ArtifactRef);
    const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
    const connection = await instance.connect();
    try {
      const reader = await connection.runAndReadAll(`SELECT * FROM read_parquet('${path}')`);
      return reader.getRowObjectsJson();
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  }

  /** A Parquet artifact made by a SELECT over `src`, the rows of another one. */
  async remake(ref: unknown, select: string): Promise<ArtifactRef> {
    const path = await this.store.localPath(ref as ArtifactRef);
    const target = join(this.folder, 'remade.parquet');
    const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
    const connection = await instance.connect();
    try {
      await connection.run(`CREATE VIEW src AS SELECT * FROM read_parquet('${path}')`);
      await connection.run(`COPY (${select}) TO '${target}' (FORMAT parquet)`);
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
    return await this.store.putFile(target, 'application/vnd.apache.parquet');
  }

  /** Aborts as soon as the step that runs has written this scratch file; resolves with the time of the abortion. */
  async abortOn(file: string): Promise<number> {
    const path = () => join(this.folder, 'runs', String(this.#runs), file);
    while ((await stat(path()).catch(() => null)) === null) await sleep(5);
    this.abort();
    return performance.now();
  }

  async json<T = unknown>(ref: unknown): Promise<T> {
    return (await this.store.readJson(ref as ArtifactRef)) as T;
  }

  async context(): Promise<StepContext> {
    this.#runs += 1;
    const scratchDir = join(this.folder, 'runs', String(this.#runs));
    await mkdir(scratchDir, { recursive: true });
    const none = (): never => {
      throw new Error('not needed by curation');
    };
    return {
      store: this.store,
      languageModel: () => this.model,
      trainer: none,
      metric: none,
      retriever: none,
      resolveDataPath: async (path) => {
        const full = join(this.folder, path);
        if ((await stat(full).catch(() => null)) !== null) return { path: full, name: path };
        throw new EscadaFailure({ code: 'FILE_NOT_FOUND', message: `There is no file ${path}.` });
      },
      signal: this.#controller.signal,
      heartbeat: (details) => void this.heartbeats.push(details),
      scratchDir,
      checkpoints: noCheckpoints(scratchDir),
    };
  }
}

/** CSV text with the columns `in` and `out`. Null cells are left empty. */
export function csvOf(rows: readonly (readonly (string | null)[])[], header = 'in,out'): string {
  const cell = (value: string | null): string => (value === null ? '' : `"${value.replaceAll('"', '""')}"`);
  return `${header}\n${rows.map((row) => `${row.map(cell).join(',')}\n`).join('')}`;
}
