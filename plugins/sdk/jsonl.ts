import { createReadStream } from 'node:fs';
import { EscadaFailure } from './contracts/failure.ts';
import type { ArtifactObjectsV1 } from './contracts/artifact-store.ts';
import type { ArtifactRef } from '../../schemas/common/artifact-ref.ts';
import { noteMovement } from './movement.ts';
import { Slices } from './slices.ts';

export const JSONL_TYPE = 'application/jsonl';

/** Longest line. A JavaScript string cannot hold more than 512 MiB, and a row of a tenth of that is a mistake. */
const MAX_LINE_BYTES = 64 * 1024 * 1024;
/** Most bytes that `readJsonl` holds as rows at once. */
const MAX_BYTES_IN_MEMORY = 1024 ** 3;

/** Stores rows as one JSON value a line. */
export async function putJsonl(store: ArtifactObjectsV1, rows: readonly unknown[]): Promise<ArtifactRef> {
  const slices = new Slices();
  const lines: Buffer[] = [];
  for (const row of rows) {
    lines.push(Buffer.from(`${JSON.stringify(row)}\n`));
    await slices.turn();
  }
  return await store.putBytes(Buffer.concat(lines), JSONL_TYPE);
}

/**
 * Reads rows back, the first `limit` of them or all. The rows were written by this product, so their shape is trusted.
 * Throws `DATA_UNREADABLE` for a line that is not JSON or too long, and for more than can be held at once.
 */
export async function readJsonl<T>(
  store: ArtifactObjectsV1,
  ref: ArtifactRef,
  { limit = Number.POSITIVE_INFINITY }: { readonly limit?: number } = {},
): Promise<T[]> {
  if (limit === Number.POSITIVE_INFINITY && ref.sizeBytes > MAX_BYTES_IN_MEMORY)
    throw unreadable(ref, `it has ${ref.sizeBytes} bytes, more than the ${MAX_BYTES_IN_MEMORY} held at once`);
  const slices = new Slices();
  const rows: T[] = [];
  let line = 0;
  for await (const bytes of linesOf(await store.localPath(ref), ref)) {
    line += 1;
    if (bytes.length === 0) continue;
    if (rows.length >= limit) break;
    rows.push(parsed(bytes, line, ref) as T);
    await slices.turn();
  }
  return rows;
}

function parsed(bytes: Buffer, line: number, ref: ArtifactRef): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw unreadable(ref, `line ${line} is not JSON`, cause);
  }
}

/** Lines without their ends, as bytes: only what is used becomes a string. */
async function* linesOf(path: string, ref: ArtifactRef): AsyncGenerator<Buffer> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    noteMovement();
    let from = 0;
    for (let end = piece.indexOf(10); end >= 0; end = piece.indexOf(10, from)) {
      yield Buffer.concat([...rest, piece.subarray(from, end)]);
      [rest, restBytes, from] = [[], 0, end + 1];
    }
    rest.push(piece.subarray(from));
    restBytes += piece.length - from;
    if (restBytes > MAX_LINE_BYTES) throw unreadable(ref, `a line has more than ${MAX_LINE_BYTES} bytes`);
  }
  if (restBytes > 0) yield Buffer.concat(rest);
}

function unreadable(ref: ArtifactRef, why: string, cause?: unknown): EscadaFailure {
  const message = `Cannot read the rows of the artifact ${ref.uri}: ${why}.`;
  return new EscadaFailure({ code: 'DATA_UNREADABLE', message, fields: { uri: ref.uri }, cause });
}

/** One answered row. */
export interface Prediction {
  readonly id: string;
  readonly input: string;
  readonly reference: string;
  readonly prediction: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly finish: 'stop' | 'length';
  /** Ids of the passages in the prompt, best first; absent without retrieval. */
  readonly passages?: readonly string[];
}
