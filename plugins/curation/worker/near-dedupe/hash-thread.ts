/** The thread that hashes texts: the only part of near-dedupe whose time grows with the length of the texts. */
import { parentPort, workerData } from 'node:worker_threads';
import type { HashJob, HashResult, HashSettings } from './jobs.ts';
import { Signer } from './minhash.ts';
import { Shingler } from './shingles.ts';

const { shape, plan } = workerData as HashSettings;
const shingler = new Shingler(shape);
const signer = new Signer(plan, shape.seed);

function sign({ texts, columns }: HashJob): HashResult {
  const stride = 2 * columns.length;
  const data = new Uint32Array(stride * plan.bands);
  for (const [index, row] of columns.entries()) {
    shingler.load(row);
    signer.sign(shingler, data, 2 * index, stride);
  }
  return { texts, data, sizes: new Int32Array(0) };
}

function shingle({ texts, columns }: HashJob): HashResult {
  const sets = columns.map((row) => {
    shingler.load(row);
    return shingler.set();
  });
  const data = new Uint32Array(sets.reduce((sum, set) => sum + set.length, 0));
  let at = 0;
  for (const set of sets) {
    data.set(set, at);
    at += set.length;
  }
  return { texts, data, sizes: Int32Array.from(sets, (set) => set.length / 2) };
}

parentPort?.on('message', (job: HashJob) => {
  const result = job.op === 'sign' ? sign(job) : shingle(job);
  parentPort?.postMessage(result, [result.data.buffer]);
});
