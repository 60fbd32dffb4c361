/**
 * A hub on this machine: the protocol as the Hugging Face hub speaks it, over real HTTP, on two origins, the hub and
 * the storage that it redirects to. Faults are asked for by the tests.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Repository {
  /** Revision to commit; `main` at least. */
  readonly refs: Record<string, string>;
  /** Commit to files; what is over 4 KiB, or weights, is in large file storage. */
  readonly commits: Record<string, Record<string, Buffer>>;
  readonly isGated?: boolean;
  readonly isPrivate?: boolean;
}

export interface Seen {
  readonly origin: 'hub' | 'storage';
  readonly path: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
}

/** What happens to the next `times` requests of an origin whose path matches. */
export interface Fault {
  readonly origin: 'hub' | 'storage';
  readonly path: RegExp;
  times: number;
  /** Answers, or returns `true` to have the request answered as usual (headers may be set before). */
  readonly act: (
    request: IncomingMessage,
    response: ServerResponse,
    body: Buffer | undefined,
  ) => boolean | void | Promise<void>;
}

export const TOKEN = 'hf_the-token-of-the-tests';
export const SIGNATURE = 'Signature=of-the-storage';
const LARGE_BYTES = 4096;

export class FakeHub {
  readonly repositories: Record<string, Repository> = {};
  readonly faults: Fault[] = [];
  readonly seen: Seen[] = [];
  /** Entries of a page of a list of files. */
  pageEntries = 1000;
  /** Address that the links to next pages name; default: the hub's own. */
  linkBase: string | undefined;
  readonly #hub = createServer((request, response) => this.#serve('hub', request, response));
  readonly #storage = createServer((request, response) => this.#serve('storage', request, response));

  static async start(): Promise<FakeHub> {
    const hub = new FakeHub();
    for (const server of [hub.#hub, hub.#storage]) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
    }
    return hub;
  }

  get endpoint(): string {
    return addressOf(this.#hub);
  }

  get storage(): string {
    return addressOf(this.#storage);
  }

  async close(): Promise<void> {
    for (const server of [this.#hub, this.#storage]) {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    }
  }

  /** Requests for contents of files, not for lists. */
  downloads(): Seen[] {
    return this.seen.filter(({ path }) => /^\/(storage\/|[^/]+\/[^/]+\/resolve\/)/.test(path));
  }

  fault(origin: 'hub' | 'storage', path: RegExp, act: Fault['act'], times = 1): void {
    this.faults.push({ origin, path, times, act });
  }

  #serve(origin: 'hub' | 'storage', request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', this.endpoint);
    const { authorization, range } = request.headers;
    this.seen.push({ origin, path: url.pathname, authorization, range });
    const fault = this.faults.find(
      (one) => one.origin === origin && one.path.test(url.pathname) && one.times > 0,
    );
    if (fault !== undefined) {
      fault.times -= 1;
      const body = origin === 'storage' ? this.#stored(url.pathname) : undefined;
      if (fault.act(request, response, body) !== true) return;
    }
    if (origin === 'hub') this.#hubAnswer(url, request, response);
    else this.#storageAnswer(url, request, response);
  }

  #hubAnswer(url: URL, request: IncomingMessage, response: ServerResponse): void {
    const parts = url.pathname.split('/').slice(1).map(decodeURIComponent);
    const isApi = parts[0] === 'api';
    const [name, verb, revision = '', ...rest] = isApi
      ? [parts.slice(2, 4).join('/'), ...parts.slice(4)]
      : [parts.slice(0, 2).join('/'), ...parts.slice(2)];
    if (isApi && parts[1] === 'resolve-cache') return this.#cached(parts, request, response);
    const token = request.headers.authorization;
    const repository = this.repositories[name ?? ''];
    if (token !== undefined && token !== `Bearer ${TOKEN}`) {
      return refuse(response, 401, '', 'Invalid credentials in Authorization header');
    }
    if (repository === undefined || (repository.isPrivate === true && token === undefined)) {
      return refuse(response, token === undefined ? 401 : 404, 'RepoNotFound', 'Repository not found');
    }
    const commit = repository.refs[revision] ?? revision;
    const files = repository.commits[commit];
    if (files === undefined) return refuse(response, 404, 'RevisionNotFound', `Invalid rev id: ${revision}`);
    if (verb === 'revision') {
      const siblings = Object.keys(files).map((rfilename) => ({ rfilename }));
      return json(response, {
        id: name,
        sha: commit,
        gated: repository.isGated === true && 'manual',
        siblings,
      });
    }
    if (verb === 'tree') return this.#tree(url, files, rest.join('/'), response);
    if (repository.isGated === true && token === undefined) {
      return refuse(response, 401, 'GatedRepo', `Access to model ${name} is restricted. Please log in.`);
    }
    this.#resolve(name ?? '', commit, rest.join('/'), files, response);
  }

  #tree(url: URL, files: Record<string, Buffer>, folder: string, response: ServerResponse): void {
    const prefix = folder === '' ? '' : `${folder}/`;
    const inside = Object.keys(files).filter((path) => path.startsWith(prefix));
    const names = new Set(inside.map((path) => path.slice(prefix.length).split('/')[0] ?? ''));
    const entries = [...names].map((name) => entryOf(prefix + name, files[prefix + name]));
    const from = Number(url.searchParams.get('cursor') ?? 0);
    const next = from + this.pageEntries;
    if (next < entries.length) {
      const base = this.linkBase ?? this.endpoint;
      response.setHeader('link', `<${base}${url.pathname}?expand=false&cursor=${next}>; rel="next"`);
    }
    json(response, entries.slice(from, next));
  }

  #resolve(
    name: string,
    commit: string,
    path: string,
    files: Record<string, Buffer>,
    response: ServerResponse,
  ): void {
    const body = files[path];
    if (body === undefined) return refuse(response, 404, 'EntryNotFound', 'Entry not found');
    response.setHeader('x-repo-commit', commit);
    if (isLarge(path, body)) {
      response.setHeader('x-linked-etag', `"${sha256(body)}"`);
      response.setHeader('x-linked-size', body.length);
      response.writeHead(302, { location: `${this.storage}/storage/${sha256(body)}?${SIGNATURE}` }).end();
    } else {
      const etag = encodeURIComponent(`"${gitBlob(body)}"`);
      const location = `/api/resolve-cache/models/${name}/${commit}/${path}?etag=${etag}`;
      response.writeHead(307, { location }).end();
    }
  }

  #cached(parts: string[], request: IncomingMessage, response: ServerResponse): void {
    const [commit = '', ...path] = parts.slice(5);
    const body = this.repositories[parts.slice(3, 5).join('/')]?.commits[commit]?.[path.join('/')];
    if (body === undefined) return refuse(response, 404, 'EntryNotFound', 'Entry not found');
    response.setHeader('x-repo-commit', commit);
    sendRange(request, response, body, `"${gitBlob(body)}"`);
  }

  #storageAnswer(url: URL, request: IncomingMessage, response: ServerResponse): void {
    const body = this.#stored(url.pathname);
    if (body === undefined || url.search !== `?${SIGNATURE}`) return void response.writeHead(403).end();
    // Not the hub's ETag: storage names its objects in its own way.
    sendRange(request, response, body, `"${sha256(body).slice(0, 32)}-3"`);
  }

  #stored(path: string): Buffer | undefined {
    const all = Object.values(this.repositories).flatMap(({ commits }) =>
      Object.values(commits).flatMap((files) => Object.values(files)),
    );
    return all.find((body) => path === `/storage/${sha256(body)}`);
  }
}

export const sha256 = (body: Buffer): string => createHash('sha256').update(body).digest('hex');

export const gitBlob = (body: Buffer): string =>
  createHash('sha1').update(`blob ${body.length}\0`).update(body).digest('hex');

/** Sends the first half of what was asked for and cuts the connection. */
export function cutInHalf(
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer | undefined,
): void {
  const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const rest = (body ?? Buffer.alloc(0)).subarray(from);
  const headers = {
    'content-length': rest.length,
    'content-range': `bytes ${from}-${(body?.length ?? 1) - 1}/${body?.length}`,
  };
  response.writeHead(from > 0 ? 206 : 200, headers);
  response.write(rest.subarray(0, Math.ceil(rest.length / 2)), () =>
    setTimeout(() => response.destroy(), 20),
  );
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function isLarge(path: string, body: Buffer): boolean {
  return body.length > LARGE_BYTES || /\.(safetensors|gguf|bin)$/.test(path);
}

/** A file or folder as a list of files has it. */
export function entryOf(path: string, body: Buffer | undefined): object {
  if (body === undefined) return { type: 'directory', oid: '0'.repeat(40), size: 0, path };
  if (!isLarge(path, body)) return { type: 'file', oid: gitBlob(body), size: body.length, path };
  const lfs = { oid: sha256(body), size: body.length, pointerSize: 134 };
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${lfs.oid}\nsize ${lfs.size}\n`;
  return { type: 'file', oid: gitBlob(Buffer.from(pointer)), size: body.length, path, lfs };
}

function sendRange(request: IncomingMessage, response: ServerResponse, body: Buffer, etag: string): void {
  const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1];
  const from = Number(range ?? 0);
  response.setHeader('etag', etag);
  response.setHeader('accept-ranges', 'bytes');
  if (range !== undefined && from >= body.length) {
    return void response.writeHead(416, { 'content-range': `bytes */${body.length}` }).end();
  }
  response.setHeader('content-length', body.length - from);
  if (range === undefined) response.writeHead(200);
  else response.writeHead(206, { 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` });
  response.end(request.method === 'HEAD' ? undefined : body.subarray(from));
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  response.setHeader('x-error-message', message);
  if (code !== '') response.setHeader('x-error-code', code);
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ error: message }));
}
