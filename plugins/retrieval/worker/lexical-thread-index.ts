import { moduleUrl } from '../../sdk/package-paths.ts';
import { ThreadPool } from '../../sdk/thread-pool.ts';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import type {
  RetrieverDocument,
  RetrieverHit,
  RetrieverWork,
  StoredIndexV1,
} from '../../sdk/contracts/retriever.ts';
import type { LexicalAnswer, LexicalJob, LexicalResult } from './lexical-thread.ts';

/** Most documents, and about the most characters, that are handed to the thread at once. */
const BATCH_DOCUMENTS = 1000;
const BATCH_CHARS = 4_000_000;

/** An index that lives in a thread: filling, writing and searching hold up nobody. */
export class LexicalThread implements StoredIndexV1 {
  readonly #pool: ThreadPool<LexicalJob, LexicalAnswer>;
  #documents = 0;

  private constructor(signal: AbortSignal) {
    signal.throwIfAborted();
    const module = moduleUrl('./lexical-thread.ts', import.meta.url);
    this.#pool = new ThreadPool<LexicalJob, LexicalAnswer>(module, null, 1, signal);
  }

  get documents(): number {
    return this.#documents;
  }

  /** An index in memory, without texts. */
  static async filled(documents: readonly RetrieverDocument[], work: RetrieverWork): Promise<LexicalThread> {
    return await LexicalThread.#started(work, async (thread) => {
      await thread.#fill(documents, { keepTexts: false }, work);
      await thread.#ask({ op: 'search-filled' });
    });
  }

  static async opened(path: string, work: RetrieverWork): Promise<LexicalThread> {
    return await LexicalThread.#started(work, async (thread) => {
      thread.#documents = (await thread.#ask({ op: 'open', path })).documents ?? 0;
    });
  }

  static async write(
    documents: readonly RetrieverDocument[],
    path: string,
    work: RetrieverWork,
  ): Promise<void> {
    const thread = await LexicalThread.#started(work, async (started) => {
      await started.#fill(documents, { keepTexts: true }, work);
      await started.#ask({ op: 'write', path });
    });
    await thread.close();
  }

  static async #started(
    { signal }: RetrieverWork,
    begin: (thread: LexicalThread) => Promise<void>,
  ): Promise<LexicalThread> {
    const thread = new LexicalThread(signal);
    try {
      await begin(thread);
      return thread;
    } catch (error) {
      await thread.close();
      throw error;
    }
  }

  async doSearch(query: string, limit: number): Promise<readonly RetrieverHit[]> {
    return (await this.#ask({ op: 'search', query, limit })).hits ?? [];
  }

  async doTexts(ids: readonly string[]): Promise<readonly string[]> {
    return (await this.#ask({ op: 'texts', ids })).texts ?? [];
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  async #fill(
    documents: readonly RetrieverDocument[],
    options: { readonly keepTexts: boolean },
    { onProgress }: RetrieverWork,
  ): Promise<void> {
    await this.#ask({ op: 'begin', ...options });
    for (let at = 0; at < documents.length;) {
      const batch = batchFrom(documents, at);
      await this.#ask({ op: 'add', documents: batch });
      at += batch.length;
      onProgress?.(at);
    }
    await this.#ask({ op: 'finish' });
  }

  async #ask(job: LexicalJob): Promise<LexicalResult> {
    const answer = await this.#pool.run(job);
    if (answer.failure === undefined) return answer;
    const { code, message, fields } = answer.failure;
    throw new EscadaFailure({ code, message, fields });
  }
}

function batchFrom(documents: readonly RetrieverDocument[], from: number): readonly RetrieverDocument[] {
  let [to, chars] = [from, 0];
  while (to < documents.length && to - from < BATCH_DOCUMENTS && chars < BATCH_CHARS) {
    chars += documents[to]?.text.length ?? 0;
    to += 1;
  }
  return documents.slice(from, to);
}
