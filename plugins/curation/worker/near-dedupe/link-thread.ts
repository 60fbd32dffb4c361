/** The thread that finds candidates and compares them. One thread, so that every number of a report is reproducible. */
import { openSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { Buckets } from './buckets.ts';
import { Clusters } from './clusters.ts';
import type { LinkJob, LinkResult, LinkSettings } from './jobs.ts';
import { SetFile } from './set-file.ts';
import { jaccard } from './shingles.ts';

const { texts, threshold, keysPath, setsPath, blocks, cacheBytes } = workerData as LinkSettings;
// The thread is ended, never asked to end: its files are closed with it.
const keys = openSync(keysPath, 'r');
const buckets = new Buckets(texts);
const clusters = new Clusters(texts);
const marks = new Uint8Array(texts);
let sets: SetFile | null = null;
let [candidates, verified] = [0, 0];

function setFile(): SetFile {
  if (sets === null) throw new Error('the shingle sets were not given yet');
  return sets;
}

function alike(text: number, other: number): boolean {
  if (clusters.root(text) === clusters.root(other)) return true;
  candidates += 1;
  const file = setFile();
  const [a, b] = [file.size(text), file.size(other)];
  // Sets of such different sizes cannot be alike, whatever is in them.
  if (Math.min(a, b) / Math.max(a, b) < threshold) return false;
  if (jaccard(file.get(text), file.get(other)) < threshold) return false;
  verified += 1;
  clusters.join(text, other);
  return true;
}

function answer(job: LinkJob): LinkResult {
  switch (job.op) {
    case 'mark':
      buckets.load(keys, blocks, job.band);
      buckets.mark((text, other) => {
        marks[text] = 1;
        marks[other] = 1;
      });
      return {};
    case 'marked':
      return { marked: markedTexts() };
    case 'sets':
      sets = new SetFile(openSync(setsPath, 'r'), job.index, cacheBytes);
      return {};
    case 'link':
      buckets.load(keys, blocks, job.band);
      buckets.link(alike);
      return {};
    case 'linked':
      return { linked: { roots: clusters.roots(), candidates, verified } };
    case 'score':
      return { scores: score(job.pairs) };
  }
}

function markedTexts(): Int32Array {
  const marked = new Int32Array(marks.reduce((sum, mark) => sum + mark, 0));
  let at = 0;
  for (let text = 0; text < texts; text += 1) {
    if (marks[text] !== 1) continue;
    marked[at] = text;
    at += 1;
  }
  return marked;
}

function score(pairs: Int32Array): Float64Array {
  const file = setFile();
  return Float64Array.from({ length: pairs.length / 2 }, (_, index) =>
    jaccard(file.get(pairs[2 * index] ?? 0), file.get(pairs[2 * index + 1] ?? 0)),
  );
}

parentPort?.on('message', (job: LinkJob) => parentPort?.postMessage(answer(job)));
