import type { ModelProgress, TokenUsage } from '../plugins/sdk/contracts/language-model.ts';
import type { CallLimits } from './call-limits.ts';

/** What the requests for answers, scores and embeddings have in common. */
export interface RowsRequest {
  readonly rows: readonly { readonly id: string }[];
  readonly signal: AbortSignal;
  readonly onProgress?: ((progress: ModelProgress) => void) | undefined;
}

/** What their results have in common. */
export interface CallResult {
  /** Wall seconds. */
  readonly seconds: number;
  readonly costUsd?: number | undefined;
  readonly answers?: readonly { readonly usage: TokenUsage }[];
}

/**
 * Sends a request as calls of at most `rowsPerCall` rows; results are in the order of the chunks. After a call that
 * fails no further one is sent, and those in flight are waited for: they are paid for, so that they must be kept.
 */
export async function callInChunks<Request extends RowsRequest, Result extends CallResult>(
  request: Request,
  limits: CallLimits,
  call: (chunk: Request) => Promise<Result>,
): Promise<Result[]> {
  const chunks = chunksOf(request, limits.rowsPerCall);
  const results: Result[] = [];
  let [next, failed] = [0, false];
  const lane = async (): Promise<void> => {
    for (let place = next++; place < chunks.length && !failed; place = next++) {
      const chunk = chunks[place] ?? request;
      try {
        results[place] = await limits.permits.hold(async () => {
          request.signal.throwIfAborted();
          const result = await call(chunk);
          if (chunk !== request) chunk.onProgress?.(finished(chunk, result));
          return result;
        });
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const lanes = Math.min(limits.callsPerRequest, chunks.length);
  const ended = await Promise.allSettled(Array.from({ length: lanes }, lane));
  for (const one of ended) if (one.status === 'rejected') throw one.reason;
  // Calls in flight together share the time.
  return results.map((result) => ({ ...result, seconds: result.seconds / lanes }));
}

/** A provider may report nothing of a call that it answers at once, and one that is kept reports nothing. */
function finished({ rows }: RowsRequest, { answers = [], seconds }: CallResult): ModelProgress {
  const tokens = answers.reduce((sum, { usage }) => sum + usage.completionTokens, 0);
  return { done: rows.length, total: rows.length, tokensPerSecond: seconds > 0 ? tokens / seconds : 0 };
}

/** The request in pieces, which report progress over all rows. A request without rows is one piece. */
function chunksOf<Request extends RowsRequest>(request: Request, rowsPerCall: number): Request[] {
  const { rows, onProgress } = request;
  if (rows.length <= rowsPerCall) return [request];
  const done: number[] = [];
  return Array.from({ length: Math.ceil(rows.length / rowsPerCall) }, (_, place) => {
    const chunk = rows.slice(place * rowsPerCall, (place + 1) * rowsPerCall);
    const report = (progress: ModelProgress): void => {
      done[place] = progress.done;
      const total = rows.length;
      onProgress?.({ ...progress, done: done.reduce((sum, one) => sum + one, 0), total });
    };
    return { ...request, rows: chunk, onProgress: report };
  });
}

/** One result out of those of the chunks. */
export function mergeResults<Result extends CallResult>(results: readonly Result[], list: string): Result {
  const [first] = results;
  if (first === undefined || results.length === 1) return first as Result;
  const costs = results.flatMap(({ costUsd }) => costUsd ?? []);
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  return {
    ...first,
    [list]: results.flatMap(
      (result) => (result as unknown as Record<string, readonly unknown[]>)[list] ?? [],
    ),
    seconds: sum(results.map(({ seconds }) => seconds)),
    ...(costs.length === 0 ? {} : { costUsd: sum(costs) }),
  };
}
