import type { ModelDescription } from '../../sdk/contracts/language-model.ts';
import type { LoadedEngine } from './engine-pool.ts';
import type { EngineFacts, EngineServices } from './engine-services.ts';
import { formatLabel, modelKey, type ModelSource } from './model-key.ts';

/** Facts about a model; it is loaded for them once. */
export async function inspectModel(
  source: ModelSource,
  { pool, facts }: EngineServices,
  signal: AbortSignal,
): Promise<EngineFacts> {
  const key = await modelKey(source);
  const known = facts.get(key);
  if (known !== undefined) return known;
  const found = await pool.use(source, signal, (engine) => Promise.resolve(factsOf(engine)));
  facts.set(key, found);
  return found;
}

function factsOf({ hello, model }: LoadedEngine): EngineFacts {
  const { engineBuild, isaClass } = hello;
  const { modelDigest, contextTokens, chatTemplate, systemTurns, parameters } = model;
  return { engineBuild, isaClass, modelDigest, contextTokens, chatTemplate, systemTurns, parameters };
}

/** Identity of what trains and answers: build of the engine and its instruction-set class. */
export const engineIdentity = ({ engineBuild, isaClass }: EngineFacts): string =>
  `${engineBuild} ${isaClass}`;

/** A model's facts in the words of the contract. */
export function describeModel(facts: EngineFacts, source: Omit<ModelSource, 'path'>): ModelDescription {
  const { modelDigest, contextTokens, parameters, engineBuild, isaClass } = facts;
  const weightFormat = formatLabel(source);
  return {
    cacheKey: [modelDigest, weightFormat, engineIdentity(facts)].join(' '),
    contextTokens,
    parameters,
    weightsDigest: modelDigest,
    weightFormat,
    details: { ...templateDetails(facts), Engine: `${engineBuild}, instruction set ${isaClass}` },
  };
}

/** How texts become prompts, where the model does not bring all that says so. */
function templateDetails({ chatTemplate, systemTurns }: EngineFacts): Record<string, string> {
  const notes = [
    ...(chatTemplate === 'default' ? ['none of its own: plain text, answer behind the input'] : []),
    ...(systemTurns === 'merged' ? ['no system role: system text in front of the user turn'] : []),
  ];
  return notes.length === 0 ? {} : { 'Chat template': notes.join('; ') };
}
