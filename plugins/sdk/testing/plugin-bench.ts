import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { JsonObject } from '../../../schemas/common/json.ts';
import type { Registry } from '../../host/registry.ts';
import type { ArtifactObjectsV1 } from '../contracts/artifact-store.ts';
import type { StepContext, StepServices } from '../contracts/step-kind.ts';
import { withRowsIn } from '../rows-folder.ts';
import { parseValue } from '../schema-check/check-value.ts';
import { noCheckpoints } from './no-checkpoints.ts';

/** What a bench is made of; `openPluginBench` puts it together. */
export interface BenchParts {
  readonly host: { readonly registry: Registry; close(): Promise<void> };
  readonly services: StepServices;
  /** A folder of its own, removed when the bench is closed. */
  readonly folder: string;
}

/** Runs what a plugin brings without a Temporal server, as a worker would: options, output and heartbeats included. */
export class PluginBench {
  readonly registry: Registry;
  readonly store: ArtifactObjectsV1;
  /** What steps reported, in order. */
  readonly heartbeats: JsonObject[] = [];
  /** Folder of data files: steps find `path` below it. */
  readonly dataFolder: string;
  readonly #parts: BenchParts;
  readonly #controller = new AbortController();
  #steps = 0;

  constructor(parts: BenchParts) {
    this.#parts = parts;
    this.registry = parts.host.registry;
    this.store = parts.services.store;
    this.dataFolder = join(parts.folder, 'data');
  }

  /** Cancels the steps that run, and those that follow. */
  cancel(reason: Error = new Error('cancelled')): void {
    this.#controller.abort(reason);
  }

  /** A step's context with an empty scratch folder. */
  async context(): Promise<StepContext> {
    this.#steps += 1;
    const scratchDir = join(this.#parts.folder, 'scratch', String(this.#steps));
    await mkdir(scratchDir, { recursive: true });
    return {
      ...this.#parts.services,
      signal: this.#controller.signal,
      heartbeat: (details) => void this.heartbeats.push(details),
      scratchDir,
      checkpoints: noCheckpoints(scratchDir),
    };
  }

  /** Runs one step. Throws what the kind throws, and a `TypeError` for options or an output that do not fit its schemas. */
  async run(kind: string, input: unknown): Promise<JsonObject> {
    const found = this.registry.stepKinds.get(kind);
    const context = await this.context();
    const options = parseValue(found.withSchema, input);
    const output = await withRowsIn(context.scratchDir, async () => await found.doRun(options, context));
    return parseValue(found.outputSchema, output);
  }

  /** Closes the plugins and removes the bench's files. */
  async close(): Promise<void> {
    await this.#parts.host.close();
    await rm(this.#parts.folder, { recursive: true, force: true });
  }
}
