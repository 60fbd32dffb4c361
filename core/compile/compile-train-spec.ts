import type { PluginHost } from '../../plugins/host/host.ts';
import type { Registry } from '../../plugins/host/registry.ts';
import type { TrainerV1 } from '../../plugins/sdk/contracts/trainer.ts';
import type { PipelineNode } from '../../schemas/spec/pipeline-spec.ts';
import { literal } from '../../schemas/plan/references.ts';
import { outputRef, planStep, type Ref } from '../../plugins/sdk/plan-values.ts';
import type { TrainPlan } from '../../schemas/outcome/train-run.ts';
import type { ParsedTrainSpec, TrainSpec } from '../../schemas/spec/train-spec.ts';
import { missingCapabilities } from './check-component-refs.ts';
import { compilePipeline } from './compile-pipeline.ts';
import { completeModel } from './complete-parts.ts';
import { IssueList } from './issue-list.ts';
import { parseTrainSpec } from './parse-spec.ts';

const datasetOf = (node: string): Ref => outputRef(node, 'dataset');

/** The usual curation without a split, and the training on what it leaves. Values of the spec are literals in the plan. */
function nodesOf({ data, task, ...spec }: TrainSpec): PipelineNode[] {
  const { maxPromptTokens, maxAnswerTokens } = task;
  const [instruction, system] = [literal(task.instruction), literal(task.system)];
  const [model, config] = [literal(spec.model), literal(spec.config)];
  const [source, columns] = [literal(data.source), literal(data.columns)];
  return [
    planStep('read', 'curate.read@1', { source, columns }),
    planStep('null-filter', 'curate.null-filter@1', { dataset: datasetOf('read') }),
    planStep('normalise', 'curate.normalise@1', { dataset: datasetOf('null-filter') }),
    planStep('exact-dedupe', 'curate.exact-dedupe@1', { dataset: datasetOf('normalise') }),
    planStep('token-filter', 'curate.token-filter@1', {
      dataset: datasetOf('exact-dedupe'),
      model,
      task: { instruction, system },
      maxPromptTokens,
      maxAnswerTokens,
      whenUncountable: 'keep',
    }),
    planStep('train', spec.config.method === 'full' ? 'train.full@1' : 'train.adapter@1', {
      trainer: literal(spec.trainer),
      model,
      recipe: { instruction, system, demonstrations: null, retrieval: null },
      rows: datasetOf('token-filter'),
      rowsLimit: null,
      config,
    }),
  ];
}

/** The trainer of a spec. Null, and issues, where there is none or it does not train what the spec asks for. */
function trainerOf(spec: ParsedTrainSpec, registry: Registry, issues: IssueList): TrainerV1 | null {
  const id = spec.trainer ?? registry.defaults.trainer;
  if (id === undefined) {
    issues.add(
      'trainer',
      `is missing, and the plugin list has no default. Known: ${registry.trainers.names().join(', ')}.`,
    );
    return null;
  }
  const trainer = issues.attempt('trainer', () => registry.trainers.get(id));
  if (spec.config.method === 'full' && trainer !== null && trainer.doTrainFull === undefined)
    issues.add('trainer', `"${id}" trains adapters only; take another, or config.method "lora"`);
  return trainer;
}

/** Compiles a training. Throws `INVALID_SPEC` with every issue. */
export function compileTrainSpec(
  raw: unknown,
  host: PluginHost,
): { readonly spec: TrainSpec; readonly plan: TrainPlan } {
  const parsed = parseTrainSpec(raw);
  const issues = new IssueList();
  const { registry } = host;
  const model = completeModel(parsed.model, registry, 'model', issues);
  const trainer = trainerOf(parsed, registry, issues);
  if (model === null || trainer === null) issues.throwIfAny();
  if (model === null || trainer === null) throw new TypeError('a spec is refused without an issue');
  const spec: TrainSpec = { ...parsed, model, trainer: trainer.id };
  const refused = [
    ...missingCapabilities(['locateWeights'], model, 'model', registry),
    ...(trainer.findIssues?.(model, spec.config) ?? []),
  ];
  for (const { path, message } of refused) issues.add(path, message);
  const pipeline = { name: spec.name, nodes: nodesOf(spec) };
  const whole = compilePipeline(pipeline, { registry, inputs: [], path: 'spec' }, issues);
  issues.throwIfAny();
  const train = whole.nodes.find((node) => node.id === 'train');
  if (train?.form !== 'step') throw new TypeError('the compiled training has no training step');
  return {
    spec,
    plan: { curation: { ...whole, nodes: whole.nodes.filter((node) => node !== train) }, train },
  };
}
