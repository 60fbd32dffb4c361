import { INTERPRETER_VERSION } from '../../schemas/plan/constants.ts';
import type { JsonObject, JsonValue } from '../../schemas/common/json.ts';
import type {
  PipelinePlan,
  PlannedApproval,
  PlannedNode,
  PlannedStep,
} from '../../schemas/plan/pipeline-plan.ts';
import {
  pipelineSpecSchema,
  type ApprovalNode,
  type PipelineNode,
  type PipelineSpecInput,
  type StepNode,
} from '../../schemas/spec/pipeline-spec.ts';
import { literalIn, parseReference, stringsIn, withoutLiterals } from '../../schemas/plan/references.ts';
import type { Registry } from '../../plugins/host/registry.ts';
import type { StepKindV1 } from '../../plugins/sdk/contracts/step-kind.ts';
import { formatPath } from '../../plugins/sdk/issues.ts';
import { missingCapabilities, wrongComponentRefs } from './check-component-refs.ts';
import { completeParts } from './complete-parts.ts';
import { inOrder } from './in-order.ts';
import { knownOptions } from './known-options.ts';
import { commonClasses, type StepClasses } from './step-classes.ts';
import type { Issue, IssueList } from './issue-list.ts';
import { checkValue } from '../../plugins/sdk/schema-check/check-value.ts';

interface Scope {
  /** Inputs that will be there when the plan runs. */
  readonly inputs: ReadonlySet<string>;
  readonly nodes: ReadonlySet<string>;
  readonly known: JsonObject;
  readonly cases: readonly JsonObject[];
  readonly insideMap: boolean;
  /** Items of the map around a step, where they are in the spec. */
  readonly items?: readonly JsonValue[];
}

/**
 * Compiles a pipeline: kinds resolved, options checked as far as references allow, references checked, cycles refused,
 * nodes put in an order in which each follows those it needs. Problems go to `issues`.
 */
export function compilePipeline(
  raw: PipelineSpecInput,
  options: NodeOptions & {
    /** Names of inputs, beside the pipeline's own. */
    readonly inputs: readonly string[];
    /** Values of inputs that are known already. */
    readonly known?: JsonObject;
    /** Values that inputs may have, one of which a run will bring: every step gets classes that hold for all of them. */
    readonly cases?: readonly JsonObject[];
  },
  issues: IssueList,
): PipelinePlan {
  const parsed = checkValue(pipelineSpecSchema, raw);
  if (!parsed.success) {
    for (const { path, message } of parsed.issues) issues.add(formatPath([options.path, ...path]), message);
    return { interpreterVersion: INTERPRETER_VERSION, name: 'invalid', nodes: [] };
  }
  const spec = parsed.data;
  const ids = spec.nodes.map((node) => node.id);
  reportRepeats(ids, options.path, issues);
  const scope: Scope = {
    inputs: new Set([...options.inputs, ...Object.keys(spec.inputs)]),
    nodes: new Set(ids),
    known: { ...spec.inputs, ...options.known },
    cases: options.cases ?? [{}],
    insideMap: false,
  };
  const nodes = spec.nodes.map((node, index) =>
    planNode(node, scope, { ...options, path: `${options.path}.nodes[${index}]` }, issues),
  );
  return {
    interpreterVersion: INTERPRETER_VERSION,
    name: spec.name,
    nodes: inOrder(nodes, options.path, issues),
  };
}

interface NodeOptions {
  readonly registry: Registry;
  readonly path: string;
  /** Nothing will run the plan with this model: what the model lacks is no issue. */
  readonly isIneligible?: boolean;
}

function planNode(node: PipelineNode, scope: Scope, options: NodeOptions, issues: IssueList): PlannedNode {
  if (node.form === 'step') return planStep(node, scope, options, issues);
  if (node.form === 'approval') return planApproval(node, scope, options, issues);
  const bodyIds = new Set(node.body.map((step) => step.id));
  reportRepeats(
    node.body.map((step) => step.id),
    `${options.path}.body`,
    issues,
  );
  const inner: Scope = {
    ...scope,
    nodes: new Set([...scope.nodes, ...bodyIds]),
    insideMap: true,
    ...itemsOf(node.over, scope.known),
  };
  const body = node.body.map((step, index) =>
    planStep(step, inner, { ...options, path: `${options.path}.body[${index}]` }, issues),
  );
  const over = node.over as readonly JsonValue[] | string;
  const outer = new Set(checkReferences(over, scope, `${options.path}.over`, issues));
  for (const step of body) for (const need of step.needs) if (!bodyIds.has(need)) outer.add(need);
  for (const need of node.after) outer.add(need);
  checkAfter(node.after, scope, options.path, issues);
  const local = body.map((step) => ({ ...step, needs: step.needs.filter((need) => bodyIds.has(need)) }));
  return {
    id: node.id,
    form: 'map',
    over,
    concurrency: node.concurrency,
    body: inOrder(local, options.path, issues),
    needs: [...outer],
  };
}

/** The items of a map whose list is in the spec, or in an input that is known. */
function itemsOf(over: JsonValue, inputs: JsonObject): { readonly items?: readonly JsonValue[] } {
  const { list } = knownOptions({ list: over }, { inputs });
  return Array.isArray(list) ? { items: list as readonly JsonValue[] } : {};
}

function planApproval(
  node: ApprovalNode,
  scope: Scope,
  options: NodeOptions,
  issues: IssueList,
): PlannedApproval {
  const { id, form, title, timeoutSeconds = null } = node;
  const subject = node.subject as JsonValue;
  const needs = new Set([
    ...checkReferences(subject, scope, `${options.path}.subject`, issues),
    ...node.after,
  ]);
  checkAfter(node.after, scope, options.path, issues);
  return { id, form, title, subject, timeoutSeconds, needs: [...needs] };
}

function checkAfter(after: readonly string[], scope: Scope, path: string, issues: IssueList): void {
  for (const need of after)
    if (!scope.nodes.has(need)) issues.add(`${path}.after`, `there is no node "${need}"`);
}

function planStep(node: StepNode, scope: Scope, options: NodeOptions, issues: IssueList): PlannedStep {
  const kind = issues.attempt(`${options.path}.uses`, () =>
    options.registry.stepKinds.get(node.uses, 'STEP_KIND_UNKNOWN'),
  );
  const values = completeParts(kind?.names, node.with, options.registry);
  const needs = new Set([...checkReferences(values, scope, `${options.path}.with`, issues), ...node.after]);
  checkAfter(node.after, scope, options.path, issues);
  if (kind !== null) {
    checkOptions(kind, values, `${options.path}.with`, issues);
    // A name that comes from a field of the spec is reported there, and not once more for every step.
    for (const { path, message } of [
      ...wrongComponentRefs(kind.names, values, `${options.path}.with`, options.registry),
      ...lacking(kind, values, scope, options),
    ])
      if (!issues.has(message)) issues.add(path, message);
  }
  const classes =
    issues.attempt(`${options.path}.uses`, () => classesOf(kind, values, scope, options.registry)) ??
    UNKNOWN_CLASSES;
  return {
    id: node.id,
    form: 'step',
    uses: node.uses,
    with: values,
    needs: [...needs],
    ...classes,
    startToCloseTimeoutMs: kind?.startToCloseTimeoutMs ?? 60_000,
    heartbeatTimeoutMs: kind?.heartbeatTimeoutMs ?? 10_000,
    summary: summaryOf(kind, values, node.uses).slice(0, 200),
    ...(kind?.countsRows === true ? { countsRows: true } : {}),
  };
}

const summaryOf = (kind: StepKindV1 | null, values: JsonObject, uses: string): string =>
  kind?.summarize?.(withoutLiterals(values) as JsonObject) ?? kind?.title ?? uses;

/** Placeholder classes of a step in a plan that is refused anyway. */
const UNKNOWN_CLASSES: StepClasses = { resource: 'cpu', retry: 'readOnly' };

function classesOf(
  kind: StepKindV1 | null,
  values: JsonObject,
  { known: inputs, cases, items }: Scope,
  { lookups }: Registry,
): StepClasses {
  if (kind === null) return UNKNOWN_CLASSES;
  const each = cases.flatMap((one) => {
    const known = { inputs: { ...inputs, ...one } };
    return (items?.map((item) => ({ ...known, item })) ?? [known]).map((all) => knownOptions(values, all));
  });
  return commonClasses(kind, each, knownOptions(values, { inputs }), lookups);
}

function lacking(
  { modelCapabilities }: StepKindV1,
  values: JsonObject,
  { known: inputs }: Scope,
  { registry, path, isIneligible = false }: NodeOptions,
): readonly Issue[] {
  if (modelCapabilities === undefined || isIneligible) return [];
  const { model } = knownOptions((literalIn(values) ?? values) as JsonObject, { inputs });
  // Parts that only a run knows are undefined, so that the whole is no reference to a model.
  return missingCapabilities(
    modelCapabilities,
    model as JsonValue | undefined,
    `${path}.with.model`,
    registry,
  );
}

/** Checks every reference of a value and returns the ids of the nodes it needs. */
function checkReferences(value: JsonValue, scope: Scope, path: string, issues: IssueList): string[] {
  const needs: string[] = [];
  for (const { text, path: at } of stringsIn(value)) {
    const reference = parseReference(text);
    const where = [path, ...at].join('.');
    if (reference === null) continue;
    if (typeof reference === 'string') issues.add(where, reference);
    else if (reference.root === 'item' && !scope.insideMap)
      issues.add(where, `${text} is only known inside a map`);
    else if (reference.root === 'inputs' && !scope.inputs.has(reference.path[0] ?? '')) {
      issues.add(where, `${text}: known inputs are ${[...scope.inputs].sort().join(', ')}`);
    } else if (reference.root === 'nodes') {
      if (scope.nodes.has(reference.node)) needs.push(reference.node);
      else issues.add(where, `${text}: there is no node "${reference.node}"`);
    }
  }
  return needs;
}

/** Checks options against the kind's schema; what a reference resolves to is checked when the step runs. */
function checkOptions(kind: StepKindV1, values: JsonObject, path: string, issues: IssueList): void {
  const parsed = checkValue(kind.withSchema, withoutLiterals(values));
  if (parsed.success) return;
  const hidden = placesOfReferences(values);
  for (const issue of parsed.issues) {
    if (issue.unknownField || !hidden.has(issue.path.join('.')))
      issues.add(formatPath([path, ...issue.path]), issue.message);
  }
}

/** The places of references, and all that is around them. */
function placesOfReferences(values: JsonObject): ReadonlySet<string> {
  const places = new Set<string>();
  for (const { text, path } of stringsIn(values)) {
    const reference = parseReference(text);
    if (typeof reference !== 'object' || reference === null) continue;
    for (let length = 0; length <= path.length; length += 1) places.add(path.slice(0, length).join('.'));
  }
  return places;
}

function reportRepeats(ids: readonly string[], path: string, issues: IssueList): void {
  const [seen, repeated] = [new Set<string>(), new Set<string>()];
  for (const id of ids) (seen.has(id) ? repeated : seen).add(id);
  for (const id of repeated) issues.add(path, `the node id "${id}" is used more than once`);
}
