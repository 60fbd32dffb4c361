/**
 * Checkpoints of a trainer that need not know what makes one complete. The trainer says that a folder is whole; its
 * files are then synced, hashed, and listed in a manifest, which is written last. Only what has a manifest that fits the
 * training, and whose files fit the manifest, is resumed from.
 */
import { open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { z } from 'zod';
import { publishFile, sha256OfFile } from '../../sdk/publish.ts';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import { logEntrySchema, type LogEntry } from './training-log.ts';

const MANIFEST = 'manifest.json';

const manifestSchema = z.strictObject({
  v: z.literal(1),
  step: z.int().positive(),
  /** Digest of what is trained: rows, settings, weights. */
  inputs: z.string(),
  /** Digest of the trainer that wrote it. */
  by: z.string(),
  files: z.array(z.strictObject({ path: z.string(), sizeBytes: z.int(), sha256: z.string() })).min(1),
  log: z.array(logEntrySchema),
});
type Manifest = z.infer<typeof manifestSchema>;

/** What a checkpoint belongs to. */
export type CheckpointIdentity = Pick<Manifest, 'inputs' | 'by'>;

/** The checkpoint from which a training continues. */
export interface Resume {
  readonly path: string;
  readonly step: number;
  readonly log: readonly LogEntry[];
  /** Steps of the ones before it, oldest first. */
  readonly older: readonly number[];
}

const folderOf = (outDir: string, step: number): string => join(outDir, `checkpoint-${step}`);

/** Makes a whole checkpoint a complete one. Throws `TRAINER_PROTOCOL` when the folder is not what was announced. */
export async function sealCheckpoint(
  outDir: string,
  {
    step,
    identity,
    log,
  }: { readonly step: number; readonly identity: CheckpointIdentity; readonly log: readonly LogEntry[] },
): Promise<void> {
  const folder = folderOf(outDir, step);
  const files: Manifest['files'] = [];
  for (const path of await filesOf(folder)) {
    const file = await open(join(folder, path), 'r');
    await file.sync().finally(() => file.close());
    const { size } = await stat(join(folder, path));
    files.push({ path, sizeBytes: size, sha256: await sha256OfFile(join(folder, path)) });
  }
  if (files.length === 0) throw broken(folder, 'holds no file');
  const manifest: Manifest = { v: 1, step, ...identity, files, log: [...log] };
  await publishFile(join(folder, MANIFEST), JSON.stringify(manifest));
}

/** Removes one, its manifest first, so that what is left of it is never taken for complete. */
export async function dropCheckpoint(outDir: string, step: number): Promise<void> {
  await rm(join(folderOf(outDir, step), MANIFEST), { force: true });
  await rm(folderOf(outDir, step), { recursive: true, force: true });
}

/** Relative paths of the files of a folder, sorted. */
async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const odd = entries.find((entry) => !entry.isFile() && !entry.isDirectory());
  if (odd !== undefined) throw broken(folder, `holds "${odd.name}", which is no file`);
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'));
  if (paths.includes(MANIFEST)) throw broken(folder, `holds a ${MANIFEST}, a name that is reserved`);
  return paths.sort();
}

/**
 * The newest complete checkpoint of this training; what is incomplete, damaged, or written by another version of the
 * trainer is removed, so that it can be written again. Throws `CHECKPOINT_MISMATCH` when there is a complete one of
 * another training.
 */
export async function newestCheckpoint(
  outDir: string,
  { inputs, by }: CheckpointIdentity,
): Promise<Resume | null> {
  const steps = await stepsIn(outDir);
  for (const [at, step] of steps.entries()) {
    const path = folderOf(outDir, step);
    const manifest = await readManifest(path);
    if (manifest !== null && manifest.inputs !== inputs) {
      throw new EscadaFailure({
        code: 'CHECKPOINT_MISMATCH',
        message: `${path} belongs to a training with other rows, settings or weights. Use an empty output folder.`,
        fields: { path },
      });
    }
    if (manifest?.step === step && manifest.by === by && (await fits(path, manifest)))
      return { path, step, log: manifest.log, older: steps.slice(at + 1).reverse() };
    await dropCheckpoint(outDir, step);
  }
  return null;
}

/** Removes every checkpoint, for a trainer that begins again. */
export async function dropCheckpoints(outDir: string): Promise<void> {
  for (const step of await stepsIn(outDir)) await dropCheckpoint(outDir, step);
}

/** Steps that have a checkpoint, complete or not, newest first. */
async function stepsIn(outDir: string): Promise<number[]> {
  const names = await readdir(outDir);
  const steps = names.flatMap((name) => /^checkpoint-(\d+)$/.exec(name)?.[1] ?? []).map(Number);
  return steps.sort((a, b) => b - a);
}

async function readManifest(folder: string): Promise<Manifest | null> {
  const text = await readFile(join(folder, MANIFEST), 'utf8').catch(() => null);
  if (text === null) return null;
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

async function fits(folder: string, { files }: Manifest): Promise<boolean> {
  for (const { path, sizeBytes, sha256 } of files) {
    const found = await stat(join(folder, path)).catch(() => null);
    if (found?.size !== sizeBytes || (await sha256OfFile(join(folder, path))) !== sha256) return false;
  }
  return true;
}

function broken(folder: string, what: string): EscadaFailure {
  return new EscadaFailure({
    code: 'TRAINER_PROTOCOL',
    message: `${folder} was announced as a checkpoint, but ${what}`,
    fields: { folder },
  });
}
