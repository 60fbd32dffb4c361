import { z } from 'zod';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import type { GenerateRequest } from '../../sdk/contracts/language-model.ts';
import { formatIssues } from '../../sdk/issues.ts';
import { checkValue } from '../../sdk/schema-check/check-value.ts';
import type { ParamsOf } from './protocol.ts';

/** Longest answer of a request that sets no limit, in tokens. */
export const DEFAULT_MAX_TOKENS = 256;

/** `providerOptions` of generation. */
export const generateCallSchema = z.strictObject({
  /** Rows that are generated side by side. Default: the plugin's `batchRows`. */
  batchRows: z.int().positive().optional(),
});

/** `providerOptions` of every other call: there are none. */
export const otherCallSchema = z.strictObject({});

/** A request's `providerOptions`. Throws `ENGINE_REQUEST_INVALID` for those that this provider does not know. */
export function callOptions<T>(
  schema: z.ZodType<T>,
  { providerOptions = {} }: Pick<GenerateRequest, 'providerOptions'>,
): T {
  const checked = checkValue(schema, providerOptions);
  if (checked.success) return checked.data;
  const message = `providerOptions: ${formatIssues(checked.issues, 'providerOptions')}`;
  throw new EscadaFailure({ code: 'ENGINE_REQUEST_INVALID', message });
}

type GenerateParams = Omit<ParamsOf<'generate'>, 'requestsPath' | 'outPath' | 'adapterPath' | 'batchRows'>;

/** A request's settings as the engine reads them, with the defaults of the contract. */
export function generateParams({
  maxTokens = DEFAULT_MAX_TOKENS,
  temperature = 0,
  topP = 1,
  topK,
  minP,
  repetitionPenalty,
  seed = 0,
  stop = [],
}: GenerateRequest): GenerateParams {
  return {
    maxNewTokens: maxTokens,
    temperature,
    topP,
    topK,
    minP,
    repetitionPenalty,
    seed,
    stop: [...stop],
  };
}
