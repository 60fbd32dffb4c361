export interface RetrieverDocument {
  readonly id: string;
  readonly text: string;
}

export interface RetrieverHit {
  readonly id: string;
  /** Higher is better; comparable within one query only. */
  readonly score: number;
}

/** Finds documents for a query, best first; ties are broken by the documents' order. */
export interface RetrieverIndexV1 {
  doSearch(query: string, limit: number): readonly RetrieverHit[];
  close(): void;
}

/** An index read back from its file; it holds the documents' texts too. */
export interface StoredIndexV1 extends RetrieverIndexV1 {
  readonly documents: number;
  /** The text of a document that a search found. Throws `DATA_UNREADABLE` when the index holds none. */
  doText(id: string): string;
}

export interface RetrieverV1 {
  readonly specificationVersion: 'v1';
  readonly id: string;
  /** Changes whenever equal documents would give another file: part of every cache key. */
  readonly formatVersion: string;
  /** An index in memory, without the texts. */
  doIndex(documents: readonly RetrieverDocument[]): RetrieverIndexV1;
  /** Writes an index with its texts to a new file; equal documents in equal order give equal bytes. */
  doWrite(documents: readonly RetrieverDocument[], path: string): void;
  /** Opens what `doWrite` wrote. Throws `DATA_UNREADABLE` when the file is something else. */
  doOpen(path: string): StoredIndexV1;
}
