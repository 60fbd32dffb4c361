import { z } from 'zod';
import type { Eligibility, RungContext, RungV1 } from '../sdk/contracts/rung.ts';
import type { PipelineNode, PipelineSpecInput } from '../../schemas/spec/pipeline-spec.ts';
import { nameTextSchema } from '../../schemas/common/texts.ts';
import { literal } from '../../schemas/plan/references.ts';
import { outputRef, planMap, planStep, ref, type Ref } from '../sdk/plan-values.ts';
import { addWork, answerAndScore, answerWork, fitNode, fittedResult, recipeOf } from '../sdk/rung-plan.ts';

const optionsSchema = z.strictObject({
  retriever: nameTextSchema,
  /** How many passages go into the prompt: at most three numbers, tried on dev. */
  topK: z.array(z.int().min(1).max(20)).min(1).max(3).default([1, 3]),
  chunk: z
    .strictObject({
      maxWords: z.int().min(20).max(2000).default(160),
      overlapWords: z.int().min(0).max(500).default(30),
    })
    .prefault({}),
});

type Options = z.infer<typeof optionsSchema>;

/** Tokens that an English word takes, cautiously. */
const TOKENS_PER_WORD = 1.6;

/** What is looked through: the user's documents, or else the training rows. */
function corpusNodes({ spec }: RungContext): { readonly nodes: PipelineNode[]; readonly rows: Ref } {
  const { documents } = spec.data;
  if (documents === undefined) return { nodes: [], rows: ref('inputs.train') };
  const { source, columns } = documents;
  return {
    nodes: [
      // A document without a title gets its own text as one, which indexing leaves out again.
      planStep('read', 'curate.read@1', {
        source: literal(source),
        columns: literal({ input: columns.title ?? columns.text, output: columns.text }),
      }),
      planStep('null-filter', 'curate.null-filter@1', { dataset: outputRef('read', 'dataset') }),
      planStep('exact-dedupe', 'curate.exact-dedupe@1', { dataset: outputRef('null-filter', 'dataset') }),
    ],
    rows: outputRef('exact-dedupe', 'dataset'),
  };
}

function toPlan(context: RungContext): PipelineSpecInput {
  const { spec } = context;
  const { topK, chunk, ...names } = context.options as Options;
  const retriever = literal(names.retriever);
  const corpus = corpusNodes(context);
  const index = outputRef('index', 'index');
  const recipes = topK.map((k) => recipeOf(spec, { retrieval: { retriever, index, topK: k } }));
  const indexed = spec.data.documents === undefined ? 'examples' : 'documents';
  return {
    name: 'rag',
    nodes: [
      ...corpus.nodes,
      planStep('index', 'retrieve.index@1', { rows: corpus.rows, indexed, retriever, chunk }),
      planStep('recall', 'retrieve.recall@1', {
        index,
        retriever,
        rows: ref('inputs.dev'),
        at: [...new Set(topK)].sort((a, b) => a - b),
      }),
      fitNode(spec, recipes),
      planMap(
        'recipes',
        outputRef('fit', 'recipes'),
        answerAndScore({ spec, recipe: ref('item'), adapter: null }),
      ),
      fittedResult(spec, 'rag', { diagnostics: [outputRef('recall', 'diagnostics')] }),
    ],
  };
}

function eligibility(profile: RungContext['spec']['profile'], { spec }: RungContext): Eligibility {
  if (spec.data.documents !== undefined)
    return { eligible: true, reason: 'Documents are given to look answers up in.' };
  if (profile.externalKnowledge || profile.changingData || profile.citationsNeeded) {
    return {
      eligible: true,
      reason: `The profile asks for knowledge from outside; without documents the ${spec.data.sizes.train} training rows are looked through.`,
    };
  }
  return {
    eligible: false,
    reason: 'The profile asks for no knowledge from outside, and no documents (data.documents) are given.',
  };
}

/** Retrieval-augmented generation: the prompt holds passages that fit the question. */
export const ragRung: RungV1 = {
  specificationVersion: 'v1',
  id: 'rag',
  title: 'Retrieval-augmented generation (RAG)',
  place: { order: 200 },
  optionsSchema,
  names: { retriever: 'retrievers' },
  eligibility,
  estimate: ({ spec, options }) => {
    const { topK, chunk } = options as Options;
    const { maxPromptTokens, maxAnswerTokens } = spec.task;
    const works = topK.map((k) =>
      answerWork({
        rows: spec.data.sizes.dev,
        promptTokens: maxPromptTokens + Math.ceil(k * chunk.maxWords * TOKENS_PER_WORD),
        completionTokens: maxAnswerTokens,
      }),
    );
    return addWork(works);
  },
  toPlan,
};
