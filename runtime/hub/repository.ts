import { SAFE_NAME } from '../../plugins/sdk/model-folder/manifest.ts';
import { inputFailure } from './failures.ts';

/** What is to be pulled. */
export interface HubTarget {
  /** `ORG/NAME`. */
  readonly repository: string;
  /** Branch, tag, `refs/pr/N` or commit. */
  readonly revision: string;
  /** One GGUF file of the repository by its path there; `null` for the safetensors model. */
  readonly file: string | null;
}

const NAME = /^\w(?:[\w.-]*\w)?$/;
const REVISION = /^\w[\w./-]{0,254}$/;
const MAX_REPOSITORY_CHARS = 96;

/**
 * Reads `ORG/NAME` or `ORG/NAME@REVISION` and the options beside it (default revision: `main`). Throws
 * `HUB_INPUT_INVALID`.
 */
export function parseTarget(text: string, options: { revision?: string; file?: string } = {}): HubTarget {
  const at = text.indexOf('@');
  const repository = at < 0 ? text : text.slice(0, at);
  const named = at < 0 ? undefined : text.slice(at + 1);
  if (named !== undefined && options.revision !== undefined && named !== options.revision) {
    throw inputFailure('revision', `Two revisions are given: ${named} and ${options.revision}. Give one.`);
  }
  checkRepository(repository);
  return {
    repository,
    revision: checkRevision(named ?? options.revision ?? 'main'),
    file: options.file === undefined ? null : checkFile(options.file),
  };
}

/**
 * The id of a pulled model, a name that always means these bytes: the repository and the first twelve
 * digits of the commit, and for a chosen file its stem. No repository's name holds `--`, so ids never meet.
 */
export function modelIdOf({ repository, file }: HubTarget, commit: string): string {
  const id = `${repository.replace('/', '--')}--${commit.slice(0, 12)}`;
  return file === null ? id : `${id}--${baseName(file).replace(/\.gguf$/i, '')}`;
}

/** The last part of a path in a repository. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function checkRepository(repository: string): void {
  const parts = repository.split('/');
  const isName = parts.length === 2 && parts.every((part) => NAME.test(part));
  const isClean = !/--|\.\.|\.git$/.test(repository) && repository.length <= MAX_REPOSITORY_CHARS;
  if (isName && isClean) return;
  throw inputFailure(
    'repository',
    `${JSON.stringify(repository)} names no repository. Write ORG/NAME, such as HuggingFaceTB/SmolLM2-135M-Instruct.`,
  );
}

function checkRevision(revision: string): string {
  if (REVISION.test(revision) && !revision.includes('..')) return revision;
  throw inputFailure(
    'revision',
    `${JSON.stringify(revision)} names no revision. Use a branch, a tag, refs/pr/N or a commit.`,
  );
}

function checkFile(file: string): string {
  const isPath = file.split('/').every((part) => SAFE_NAME.test(part));
  if (!isPath || !/\.gguf$/i.test(file)) {
    throw inputFailure('file', `${JSON.stringify(file)}: only a .gguf file of the repository can be chosen.`);
  }
  if (/-\d{5}-of-\d{5}\.gguf$/i.test(file)) {
    throw inputFailure('file', `${file} is a part of a split GGUF, which the engine does not read.`);
  }
  return file;
}
