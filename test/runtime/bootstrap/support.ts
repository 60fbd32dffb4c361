import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';

/** The repository root. */
export const ROOT = path.resolve(import.meta.dirname, '../../..');

/** A scratch folder that goes when the test ends. */
export async function scratch(t: TestContext): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'escada-bootstrap-test-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Puts an executable shell script called `name` into `folder` and returns its path. */
export async function program(folder: string, name: string, script: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const file = path.join(folder, name);
  await writeFile(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return file;
}
