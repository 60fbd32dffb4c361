/**
 * Command lines of the pages that are too long to run again: the file that runs each, and a text of that file which
 * shows it. A test fails when a file or its text is gone, or when no page has the line any more.
 */
export const PROVEN_ELSEWHERE: Readonly<Record<string, { readonly file: string; readonly shows: string }>> = {
  'npm start': { file: 'test/whole/start.test.ts', shows: 'runtime/bootstrap/start.mjs' },
  'npm start -- --spec examples/catalogue-questions/spec.json': {
    file: 'test/whole/start.test.ts',
    shows: "'--spec', 'spec.json'",
  },
  'npm test': { file: 'test/tools/test/tests.test.ts', shows: 'every test file has its tier' },
  'npm test -- --tier 1': { file: 'test/tools/test/tests.test.ts', shows: 'every test file has its tier' },
  'npm run escada -- export reviews-1 --format gguf-q8_0 --out reviews.gguf': {
    file: 'test/whole/export.test.ts',
    shows: "'export',",
  },
  'npm run format': { file: 'tools/test/run-tests.mjs', shows: 'node_modules/.bin/prettier' },
  'npm install escada': { file: 'test/package/package.test.ts', shows: "'install'" },
  'npm run pack': { file: 'test/package/package.test.ts', shows: 'packInto(' },
};
