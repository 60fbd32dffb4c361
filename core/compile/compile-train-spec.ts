import type { PluginHost } from '../../plugins/host/host.ts';
import type { PipelineNode } from '../../schemas/spec/pipeline-spec.ts';
import { literal } from '../../schemas/plan/references.ts';
import { outputRef, planStep, type Ref } from '../../plugins/sdk/plan-values.ts';
import type { TrainPlan } from '../../schemas/outcome/train-run.ts';
import type { TrainSpec } from '../../schemas/spec/train-spec.ts';
import { compilePipeline } from './compile-pipeline.ts';
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

/** Compiles a training. Throws `INVALID_SPEC` with every issue. */
export function compileTrainSpec(
  raw: unknown,
  host: PluginHost,
): { readonly spec: TrainSpec; readonly plan: TrainPlan } {
  const spec = parseTrainSpec(raw);
  const issues = new IssueList();
  issues.attempt('model.provider', () => host.registry.providers.get(spec.model.provider));
  const trainer = issues.attempt('trainer', () => host.registry.trainers.get(spec.trainer));
  const full = spec.config.method === 'full';
  if (full && trainer !== null && trainer.doTrainFull === undefined) {
    issues.add('trainer', `"${spec.trainer}" trains adapters only; take another, or config.method "lora"`);
  }
  if (full && spec.model.weightFormat !== 'f32') {
    const why = `config.method "full" trains 32-bit weights, these are ${spec.model.weightFormat}`;
    issues.add('model.weightFormat', `${why}; use "f32", or config.method "lora"`);
  }
  const pipeline = { name: spec.name, nodes: nodesOf(spec) };
  const whole = compilePipeline(pipeline, { registry: host.registry, inputs: [], path: 'spec' }, issues);
  issues.throwIfAny();
  const train = whole.nodes.find((node) => node.id === 'train');
  if (train?.form !== 'step') throw new TypeError('the compiled training has no training step');
  return {
    spec,
    plan: { curation: { ...whole, nodes: whole.nodes.filter((node) => node !== train) }, train },
  };
}
