import type { RetrieverV1 } from '../../sdk/contracts/retriever.ts';
import { LAYOUT_VERSION } from './lexical-tables.ts';
import { LexicalThread } from './lexical-thread-index.ts';

/**
 * Ranks by BM25 over SQLite's full-text index, each index in a thread of its own. Case and accents do not count. Scores
 * are positive, higher is better, comparable within one query only; equal scores come in the order of the documents.
 */
export const lexicalRetriever: RetrieverV1 = {
  specificationVersion: 'v1',
  id: 'lexical',
  formatVersion: `sqlite ${process.versions['sqlite'] ?? 'unknown'} layout ${LAYOUT_VERSION}`,
  doIndex: async (documents, work) => await LexicalThread.filled(documents, work),
  doWrite: async (documents, path, work) => await LexicalThread.write(documents, path, work),
  doOpen: async (path, work) => await LexicalThread.opened(path, work),
};
