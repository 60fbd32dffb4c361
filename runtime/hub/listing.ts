import { z } from 'zod';
import type { HubClient } from './client.ts';
import { answerFailure } from './failures.ts';
import { refusal } from './refusals.ts';
import { COMMIT } from '../../plugins/sdk/model-folder/manifest.ts';
import { type HubTarget } from './repository.ts';

/** How a file's content is named: SHA-256 in large file storage, else the SHA-1 of its git blob. */
export interface Digest {
  readonly kind: 'sha256' | 'gitBlobSha1';
  readonly hex: string;
}

/** A file of a repository. Its path comes from the server and is not yet fit for this machine's disk. */
export interface ListedFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly digest: Digest;
}

const MAX_ANSWER_BYTES = 16 * 2 ** 20;
const MAX_PAGES = 100;

const sizeSchema = z.int().nonnegative();
const revisionSchema = z.object({ sha: z.string().regex(COMMIT) });
const pageSchema = z.array(
  z.object({
    type: z.string(),
    path: z.string().max(4096),
    oid: z.string(),
    size: sizeSchema.optional(),
    lfs: z.object({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: sizeSchema }).optional(),
  }),
);

/** The commit that a revision names now. Throws `HUB_*`. */
export async function resolveCommit(client: HubClient, target: HubTarget): Promise<string> {
  const { repository, revision } = target;
  const url = client.url(`api/models/${repository}/revision/${encodeURIComponent(revision)}`);
  const { body } = await readJson(client, target, url);
  const { sha } = checked(revisionSchema, body, 'the description of the repository');
  if (COMMIT.test(revision) && sha !== revision)
    throw answerFailure(`it gives commit ${sha} for ${revision}`);
  return sha;
}

/** The files of one folder at a commit (`''` is the root), however many pages they take. Throws `HUB_*`. */
export async function listFolder(
  client: HubClient,
  target: HubTarget,
  commit: string,
  folder: string,
): Promise<ListedFile[]> {
  const inside = folder === '' ? '' : `/${encodeURIComponent(folder)}`;
  const url = client.url(`api/models/${target.repository}/tree/${commit}${inside}`);
  const files: ListedFile[] = [];
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const { body, next } = await readJson(client, { ...target, revision: commit }, url);
    for (const entry of checked(pageSchema, body, 'the list of files')) {
      if (entry.type === 'file') files.push(listed(entry));
    }
    if (next === null) return files;
    if (next === url.search) throw answerFailure('a page of the list of files names itself as the next');
    // Only the cursor is taken: a mirror may repeat the address of the hub behind it, which is not to be asked.
    url.search = next;
  }
  throw answerFailure(`${folder || 'the root'} has more than ${MAX_PAGES} pages of files`);
}

function listed({ path, oid, size, lfs }: z.infer<typeof pageSchema>[number]): ListedFile {
  if (lfs !== undefined) return { path, sizeBytes: lfs.size, digest: { kind: 'sha256', hex: lfs.oid } };
  if (size === undefined || !COMMIT.test(oid)) throw answerFailure('a file is listed without size or digest');
  return { path, sizeBytes: size, digest: { kind: 'gitBlobSha1', hex: oid } };
}

interface Page {
  readonly body: unknown;
  /** Query of the next page. */
  readonly next: string | null;
}

async function readJson(client: HubClient, target: HubTarget, url: URL): Promise<Page> {
  return await client.retrying(target.repository, async () => {
    const answer = await client.get(url, { accept: 'application/json' });
    if (answer.status === 200) {
      return { body: await answer.json(MAX_ANSWER_BYTES), next: nextQuery(answer.headers.get('link'), url) };
    }
    answer.drop();
    throw answer.transientError() ?? refusal(answer, target, client.settings);
  });
}

/** The query of `Link: <address>; rel="next"`. */
function nextQuery(link: string | null, from: URL): string | null {
  const address = /<([^>]*)>\s*;[^,]*\brel="?next"?/.exec(link ?? '')?.[1];
  if (address === undefined) return null;
  if (URL.canParse(address, from.href)) return new URL(address, from).search;
  throw answerFailure('invalid next-page URL');
}

function checked<T>(schema: z.ZodType<T>, body: unknown, what: string): T {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const where = result.error.issues[0]?.path.join('.') ?? '';
  throw answerFailure(`${what} is not as the protocol has it${where === '' ? '' : ` (at ${where})`}`);
}
