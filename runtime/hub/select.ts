import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import {
  answerFailure,
  inMegabytes,
  nothingUsableFailure,
  notFoundFailure,
  sanitizeForTerminal,
} from './failures.ts';
import type { ListedFile } from './listing.ts';
import { MANIFEST, SAFE_NAME } from '../../plugins/sdk/model-folder/manifest.ts';
import { baseName, type HubTarget } from './repository.ts';

/** A file to fetch. */
export interface WantedFile extends ListedFile {
  /** Name in the folder of the model: never a path. */
  readonly name: string;
}

/** Files that are fetched whatever the weights, and the index of sharded weights that decides about more. */
export interface Selection {
  readonly files: readonly WantedFile[];
  /** The index, to be read before its shards can be named. */
  readonly index: WantedFile | null;
}

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const NEEDED = ['config.json', 'tokenizer.json'];
const BESIDE = ['tokenizer.model', 'chat_template.jinja'];
const PICKLE = /\.(bin|pt|pth|ckpt|pkl|pickle)$/i;
/** The largest tokenizers have a third of this. */
const MAX_JSON_BYTES = 2 ** 27;

/** What the engine needs of a folder's files. Throws `HUB_NOTHING_USABLE` with what to do, or `HUB_NOT_FOUND`. */
export function selectFiles(listed: readonly ListedFile[], target: HubTarget): Selection {
  const { file } = target;
  if (file !== null) {
    const found = listed.find(({ path }) => path === file);
    if (found !== undefined) return { files: [wanted(found)], index: null };
    throw notFoundFailure(`${target.repository} at ${target.revision} has no ${file}.${ggufs(listed)}`, {
      file,
    });
  }
  const safe = listed.filter(({ path }) => SAFE_NAME.test(path)).map(wanted);
  const large = safe.find(({ name, sizeBytes }) => isRead(name) && sizeBytes > MAX_JSON_BYTES);
  if (large !== undefined) throw answerFailure(`${large.name} has ${inMegabytes(large.sizeBytes)}`);
  const find = (name: string) => safe.find((one) => one.name === name);
  const single = find(SINGLE);
  const index = find(INDEX);
  if (single === undefined && index === undefined) throw noWeights(listed, target.repository);
  const missing = NEEDED.filter((name) => find(name) === undefined);
  if (missing.length > 0) throw incomplete(missing, target.repository);
  const beside = safe.filter(({ name, sizeBytes }) => isBeside(name) && sizeBytes <= MAX_JSON_BYTES);
  checkNames(beside);
  // As the engine has it: a single file wins over shards.
  if (single !== undefined) return { files: [...beside, single], index: null };
  return { files: beside, index: index ?? null };
}

/** The shards that a fetched index names. Throws `HUB_ANSWER_INVALID` when they are not all in the listing. */
export async function selectShards(indexFile: string, listed: readonly ListedFile[]): Promise<WantedFile[]> {
  const names = new Set(Object.values(await readWeightMap(indexFile)));
  const shards = [...names].sort().map((name) => {
    const isShard = SAFE_NAME.test(name) && name.endsWith('.safetensors');
    const found = isShard ? listed.find(({ path }) => path === name) : undefined;
    if (found !== undefined) return wanted(found);
    throw answerFailure(
      `${INDEX} names ${JSON.stringify(name.slice(0, 200))}, which is no shard of the repository`,
    );
  });
  if (shards.length === 0) throw answerFailure(`${INDEX} names no shards`);
  checkNames(shards);
  return shards;
}

async function readWeightMap(indexFile: string): Promise<Record<string, string>> {
  const schema = z.object({ weight_map: z.record(z.string(), z.string()) });
  try {
    return schema.parse(JSON.parse(await readFile(indexFile, 'utf8'))).weight_map;
  } catch (cause) {
    throw answerFailure(`${INDEX} has no map of tensors to files`, {}, cause);
  }
}

const isRead = (name: string): boolean => name === INDEX || NEEDED.includes(name);

const isBeside = (name: string): boolean =>
  BESIDE.includes(name) ||
  (name.endsWith('.json') && !name.endsWith('.index.json') && name.toLowerCase() !== MANIFEST);

function wanted(file: ListedFile): WantedFile {
  return { ...file, name: baseName(file.path) };
}

/** On some file systems two names that differ by case are one file. */
function checkNames(files: readonly WantedFile[]): void {
  const names = new Set(files.map(({ name }) => name.toLowerCase()));
  if (names.size < files.length) throw answerFailure('two files have names that differ by case only');
}

function noWeights(listed: readonly ListedFile[], repository: string): Error {
  const pickles = listed.filter(({ path }) => PICKLE.test(path)).map(({ path }) => path);
  const choices = ggufs(listed);
  if (choices !== '') {
    return nothingUsableFailure(`${repository} has no ${SINGLE}.${choices}`, { repository });
  }
  if (pickles.length > 0) {
    const some = pickles.slice(0, 3).map(sanitizeForTerminal).join(', ');
    return nothingUsableFailure(
      `${repository} has its weights only as pickle (${some}), which can run programs when it is opened and is never ` +
        'read. Look for a revision with safetensors (the hub offers conversions as refs/pr/N), or convert it on a ' +
        'machine that you would trust it with, and use the folder.',
      { repository, pickles: pickles.slice(0, 20) },
    );
  }
  return nothingUsableFailure(`${repository} has neither ${SINGLE} nor ${INDEX} nor a GGUF file.`, {
    repository,
  });
}

function incomplete(missing: readonly string[], repository: string): Error {
  const hint = missing.includes('tokenizer.json')
    ? ' A tokenizer of another form is converted by transformers: AutoTokenizer.from_pretrained(…).save_pretrained(…).'
    : ' An adapter is no model: pull the model that it was trained on.';
  const message = `${repository} has no ${missing.join(' and no ')}, which the engine needs.${hint}`;
  return nothingUsableFailure(message, { repository, missing: [...missing] });
}

const isSafePath = (path: string): boolean => path.split('/').every((part) => SAFE_NAME.test(part));

/** The GGUF files to choose from, as a sentence; `''` if there are none. */
function ggufs(listed: readonly ListedFile[]): string {
  const found = listed.filter(({ path }) => /\.gguf$/i.test(path) && isSafePath(path));
  if (found.length === 0) return '';
  const some = found.slice(0, 40).map(({ path, sizeBytes }) => `${path} (${inMegabytes(sizeBytes)})`);
  return ` Choose one with --file: ${some.join(', ')}${found.length > some.length ? ', …' : ''}.`;
}
