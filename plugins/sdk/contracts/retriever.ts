export interface RetrieverDocument {
  readonly id: string;
  readonly text: string;
}

export interface RetrieverHit {
  readonly id: string;
  /** Higher is better; comparable within one query only. */
  readonly score: number;
}

/** How long work on an index is stopped and shown. */
export interface RetrieverWork {
  /** Aborting it ends the work, and the use of an opened index; the reason is thrown. */
  readonly signal: AbortSignal;
  /** Called now and then with how many documents are done. */
  readonly onProgress?: (documents: number) => void;
}

/** Finds documents for a query, best first; ties are broken by the documents' order. */
export interface RetrieverIndexV1 {
  doSearch(query: string, limit: number): Promise<readonly RetrieverHit[]>;
  close(): Promise<void>;
}

/** An index read back from its file; it holds the documents' texts too. */
export interface StoredIndexV1 extends RetrieverIndexV1 {
  readonly documents: number;
  /** The texts of documents that a search found, in the order of the ids. Throws `DATA_UNREADABLE` when the index lacks one. */
  doTexts(ids: readonly string[]): Promise<readonly string[]>;
}

/** None of its work may hold up the event loop: indexes have millions of documents. */
export interface RetrieverV1 {
  readonly specificationVersion: 'v1';
  readonly id: string;
  /** Changes whenever equal documents would give another file: part of every cache key. */
  readonly formatVersion: string;
  /** An index in memory, without the texts. */
  doIndex(documents: readonly RetrieverDocument[], work: RetrieverWork): Promise<RetrieverIndexV1>;
  /** Writes an index with its texts to a new file; equal documents in equal order give equal bytes. */
  doWrite(documents: readonly RetrieverDocument[], path: string, work: RetrieverWork): Promise<void>;
  /** Opens what `doWrite` wrote. Throws `DATA_UNREADABLE` when the file is something else. */
  doOpen(path: string, work: RetrieverWork): Promise<StoredIndexV1>;
}
