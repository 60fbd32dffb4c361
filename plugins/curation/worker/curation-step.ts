import { version } from '@duckdb/node-api';
import type { StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import type { JsonObject } from '../../../schemas/common/json.ts';

type Specific =
  | 'kind'
  | 'title'
  | 'withSchema'
  | 'outputSchema'
  | 'summarize'
  | 'doRun'
  | 'doCacheSalt'
  | 'names'
  | 'countsRows';

/**
 * Completes a step kind with what all of this plugin share: they only compute, so they may be run again at will, and
 * equal inputs give equal bytes as long as the table engine stays the same.
 */
export function curationStep<With, Output extends JsonObject>(
  kind: Pick<StepKindV1<With, Output>, Specific>,
): StepKindV1<With, Output> {
  return {
    // Every step but the split passes one dataset on.
    countsRows: true,
    ...kind,
    specificationVersion: 'v1',
    resource: 'cpu',
    retry: 'idempotentWrite',
    cacheable: true,
    startToCloseTimeoutMs: 30 * 60_000,
    heartbeatTimeoutMs: 10_000,
    doCacheSalt: async (input, services, signal) => {
      const own = (await kind.doCacheSalt?.(input, services, signal)) ?? '';
      return `duckdb ${version()} ${own}`;
    },
  };
}
