import { performance } from 'node:perf_hooks';
import { actionKey } from '../core/store/action-cache.ts';
import type { ArtifactStoreV1, StepPlace } from '../plugins/sdk/contracts/artifact-store.ts';
import type {
  GenerateRequest,
  GenerateResult,
  LanguageModelV1,
} from '../plugins/sdk/contracts/language-model.ts';
import type { StepServices } from '../plugins/sdk/contracts/step-kind.ts';
import type { JsonObject } from '../schemas/common/json.ts';

/** The kind under which the answers of one call are stored. */
const PAID_CALL = 'paid-call@1';

/** The step that pays, and where what it paid for is kept. */
export interface Payer {
  readonly store: ArtifactStoreV1;
  readonly place: StepPlace;
  readonly runId: string;
}

/**
 * Services whose models keep what every call of `doGenerate` gave, before anybody works with it: when a later part of the
 * step fails, the next attempt of the same step of the same run finds the answers and does not pay for them again.
 */
export function withPaidCalls(services: StepServices, payer: Payer): StepServices {
  return {
    ...services,
    languageModel: (...choice) => keeping(services.languageModel(...choice), toJson(choice), payer),
  };
}

function keeping(model: LanguageModelV1, choice: unknown, payer: Payer): LanguageModelV1 {
  const doGenerate = async (request: GenerateRequest): Promise<GenerateResult> =>
    await keptCall(request, choice, payer, () => model.doGenerate(request));
  return new Proxy(model, {
    get: (target, name) => {
      if (name === 'doGenerate') return doGenerate;
      const member: unknown = Reflect.get(target, name);
      // A class may have private fields, which its proxy has not.
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

async function keptCall(
  { signal: _signal, onProgress: _onProgress, ...asked }: GenerateRequest,
  choice: unknown,
  { store, place, runId }: Payer,
  call: () => Promise<GenerateResult>,
): Promise<GenerateResult> {
  const input = toJson({ choice, asked }) as JsonObject;
  const key = actionKey({ kind: PAID_CALL, input, plugins: {}, salt: JSON.stringify(place) });
  const kept = await store.getAction(key);
  if (kept?.kind === PAID_CALL) return kept.output as unknown as GenerateResult;
  const started = performance.now();
  const result = await call();
  const seconds = (performance.now() - started) / 1000;
  await store.putAction({ key, kind: PAID_CALL, output: toJson(result) as JsonObject, seconds });
  await store.noteUse(place, { activity: [runId, place.nodeId, key], action: key, references: [] });
  return result;
}

/** As it is stored: without members that are undefined. */
const toJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown;
