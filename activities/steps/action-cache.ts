import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ArtifactRef } from '../../schemas/common/artifact-ref.ts';
import { artifactRefSchema } from '../../schemas/common/artifact-ref.ts';
import type { JsonObject } from '../../schemas/common/json.ts';
import { publishFile, sha256OfBytes } from '../shared/publish.ts';
import type { FileStore } from '../artifacts/file-store.ts';
import { canonicalJson } from '../shared/canonical-json.ts';

export interface FinishedAction {
  readonly output: JsonObject;
  /** Wall seconds of the run that made it. */
  readonly seconds: number;
}

/** Key of an action: kind with version, canonical input, and whatever else its result depends on. */
export function actionKey(kind: string, input: JsonObject, salt: string): string {
  return sha256OfBytes(canonicalJson({ kind, input, salt }));
}

/** Every artifact reference inside a value. */
export function referencesIn(value: unknown): ArtifactRef[] {
  const parsed = artifactRefSchema.safeParse(value);
  if (parsed.success) return [parsed.data];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(referencesIn);
}

/** Reads a finished action; null when there is none, or when one of its artifacts is gone from the store. */
export async function readAction(store: FileStore, path: string): Promise<FinishedAction | null> {
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return null;
  const action = JSON.parse(text) as FinishedAction;
  for (const ref of referencesIn(action.output)) {
    const there = await store.localPath(ref).catch(() => null);
    if (there === null) return null;
  }
  return action;
}

export async function writeAction(path: string, action: FinishedAction): Promise<void> {
  await publishFile(path, canonicalJson(action));
}

export function cachePath(store: FileStore, key: string): string {
  return join(store.root, 'actions', `${key}.json`);
}
