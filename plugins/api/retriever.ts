export interface RetrieverDocument {
  readonly id: string;
  readonly text: string;
}

/** Finds documents for a query, best first; ties are broken by the documents' order. */
export interface RetrieverIndexV1 {
  doSearch(query: string, limit: number): readonly { readonly id: string; readonly score: number }[];
  close(): void;
}

export interface RetrieverV1 {
  readonly specificationVersion: 'v1';
  readonly id: string;
  doIndex(documents: readonly RetrieverDocument[]): RetrieverIndexV1;
}
