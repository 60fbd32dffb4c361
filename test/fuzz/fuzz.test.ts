/** A minute of damaged files for every reader; `npm run fuzz -- --seconds 600 --seed N` is the same for longer. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { lineOf } from '../../tools/fuzz/counts.ts';
import type { ReaderCounts } from '../../tools/fuzz/counts.ts';

const MAIN = fileURLToPath(new URL('../../tools/fuzz/main.ts', import.meta.url));
const ENGINE = [
  'gguf',
  'gguf-sentencepiece',
  'safetensors',
  'safetensors-index',
  'config',
  'tokenizer',
  'nf4',
  'adapter',
  'checkpoint',
  'rows',
  'chat-template',
];
const TYPESCRIPT = [
  'csv',
  'tsv',
  'jsonl',
  'parquet',
  'dataset-rows',
  'packed-folder',
  'retrieval-index',
  'spec',
  'pipeline-spec',
];

interface Report {
  readonly halves: readonly { readonly counts: readonly ReaderCounts[]; readonly problem: string | null }[];
}

test('every reader answers damaged files with a value or a coded error, in bounded memory and time', (t) => {
  const args = [
    '--disable-warning=ExperimentalWarning',
    MAIN,
    '--seconds',
    '60',
    '--seed',
    '20261',
    '--json',
  ];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  const { halves } = JSON.parse(stdout) as Report;
  const counts = halves.flatMap((half) => half.counts);
  for (const one of counts) t.diagnostic(lineOf(one));
  assert.deepEqual(
    counts.map(({ reader }) => reader),
    [...ENGINE, ...TYPESCRIPT],
    stderr,
  );
  for (const one of counts) {
    assert.ok(one.tried > 0, `${one.reader} was not tried`);
    assert.ok(Object.keys(one.rejected).length > 0, `${one.reader} refused nothing: it was not damaged`);
    const { uncoded, panics, overAllocations, tooSlow } = one;
    assert.deepEqual(
      { uncoded, panics, overAllocations, tooSlow },
      { uncoded: 0, panics: 0, overAllocations: 0, tooSlow: 0 },
      lineOf(one),
    );
  }
  assert.equal(status, 0, stderr);
});
