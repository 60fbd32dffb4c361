import type { ModelDescription } from '../../plugins/sdk/contracts/language-model.ts';
import type { MeasuredCandidate } from '../../schemas/outcome/candidate.ts';
import type { Recipe } from '../../schemas/outcome/recipe.ts';
import type { ReportData } from './report-data.ts';
import { modelText } from './text.ts';

/** The system that won, as far as it takes to set it up again. */
export function winnerOf(data: ReportData): MeasuredCandidate | undefined {
  return data.candidates.find(({ id }) => id === data.decision.candidateId);
}

function demonstrationFacts({ demonstrations }: Recipe): [string, string][] {
  if (demonstrations === null) return [['Demonstrations', 'none']];
  const how =
    demonstrations.selection === 'nearest'
      ? `nearest to the input by ${demonstrations.retriever}`
      : `always the same, seed ${demonstrations.seed}`;
  return [
    ['Demonstrations', `${demonstrations.shots} training rows, ${how}`],
    ['Rows to choose from', demonstrations.rows.uri],
  ];
}

function retrievalFacts({ retrieval }: Recipe): [string, string][] {
  if (retrieval === null) return [['Retrieval', 'none']];
  const passages = retrieval.topK === 1 ? '1 passage' : `${retrieval.topK} passages`;
  return [['Retrieval', `${passages} by ${retrieval.retriever} from the index ${retrieval.index.uri}`]];
}

/** Name and value of everything that makes up the winner. */
export function winnerFacts(data: ReportData): [string, string][] {
  const winner = winnerOf(data);
  if (winner === undefined) return [];
  const { recipe, adapter, model } = winner;
  const { task } = data.plan.spec;
  return [
    ['Candidate', winner.id],
    ['Model', `${modelText(model)}, by ${model.provider}`],
    ['System prompt', recipe.system === '' ? '(empty)' : recipe.system],
    ['Instruction', recipe.instruction],
    ...demonstrationFacts(recipe),
    ...retrievalFacts(recipe),
    ['Longest answer', `${task.maxAnswerTokens} tokens`],
    ...(adapter === null
      ? []
      : ([
          ['Adapter', adapter.uri],
          ['Adapter files', `PEFT format, in the artifact store under folders/${adapter.sha256}`],
        ] as [string, string][])),
  ];
}

/** What is known of the weights. */
function weightsFact({ parameters, weightsDigest }: ModelDescription): [string, string][] {
  const facts = [
    ...(parameters === undefined ? [] : [`${(parameters / 1e6).toFixed(1)} M parameters`]),
    ...(weightsDigest === undefined ? [] : [`digest ${weightsDigest}`]),
  ];
  return facts.length === 0 ? [] : [['Weights', facts.join(', ')]];
}

/** What the run was and what ran it. */
export function runFacts(data: ReportData): [string, string][] {
  const { plan, model } = data;
  const { spec } = plan;
  const engine: [string, string][] =
    model === null ? [] : [...weightsFact(model), ...Object.entries(model.details ?? {})];
  return [
    ['Run', data.workflowId],
    ['Time', `${data.seconds.toFixed(0)} s of ${spec.budget.seconds} s`],
    ['Metric', [spec.metrics.primary, ...spec.metrics.secondary].map(({ id }) => id).join(', ')],
    ['Target', String(spec.target)],
    [
      'Statistics',
      `${spec.statistics.level * 100} % intervals, ${spec.statistics.resamples} resamples, margin ${spec.statistics.nonInferiorityMargin}`,
    ],
    ['Seed', String(spec.seed)],
    ...engine,
    ['Plugins', plan.plugins.map(({ name, version }) => `${name} ${version}`).join(', ')],
    ['Spec digest', plan.specDigest],
    ['Plan', data.planArtifact.uri],
  ];
}

/** Commands that repeat the run; finished steps come from the store. */
export const RUN_AGAIN = `escada start spec.json        # the spec below: equal steps are taken from the store
escada report RUN             # with the id that start printed`;
