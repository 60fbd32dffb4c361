import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compilePipelineSpec } from '../../../core/compile/compile-pipeline-spec.ts';
import { compileSpec } from '../../../core/compile/compile-spec.ts';
import { isEscadaFailure } from '../../../plugins/sdk/contracts/failure.ts';
import { createProjectHost } from '../../../plugins.ts';
import { GOOD_SPEC } from '../../fixtures/specs.ts';

const host = createProjectHost();

function failureOf(spec: unknown): { readonly code: string; readonly message: string } {
  try {
    compileSpec(spec, host);
  } catch (error) {
    assert.ok(isEscadaFailure(error), String(error));
    return error;
  }
  assert.fail('the spec was accepted');
}

test('a good spec becomes a plan with every rung, curation and the test scoring', () => {
  const plan = compileSpec(GOOD_SPEC, host);
  assert.deepEqual(
    plan.rungs.map(({ id }) => id),
    ['icl', 'peft', 'rag', 'zero-shot'],
  );
  assert.deepEqual(plan.curation.nodes.map(({ id }) => id).at(-1), 'split');
  assert.ok(plan.rungs.every(({ plan: sub }) => sub?.nodes.at(-1)?.id === 'result'));
  assert.equal(plan.flowchart.name, 'standard');
  assert.match(plan.specDigest, /^[0-9a-f]{64}$/);
  assert.ok(plan.plugins.some(({ name }) => name === 'nf4-lora'));
});

test('retrieval is for documents or a profile that asks for knowledge; its recipes name the index to come', () => {
  const rag = (spec: object) =>
    compileSpec({ ...GOOD_SPEC, ...spec }, host).rungs.find(({ id }) => id === 'rag');
  assert.equal(rag({})?.eligible, false);
  assert.match(rag({})?.eligibilityReason ?? '', /no documents \(data\.documents\)/);
  const ids = (one: ReturnType<typeof rag>) => one?.plan?.nodes.map(({ id }) => id);
  const overRows = rag({ profile: { externalKnowledge: true } });
  assert.equal(overRows?.eligible, true);
  assert.deepEqual(ids(overRows), ['index', 'recall', 'fit', 'recipes', 'result']);
  const documents = { source: { path: 'docs.csv' }, columns: { text: 'body' } };
  const overDocuments = rag({ data: { ...GOOD_SPEC.data, documents } });
  assert.deepEqual(ids(overDocuments)?.slice(0, 4), ['read', 'null-filter', 'exact-dedupe', 'index']);
  const needs = (id: string) => overDocuments?.plan?.nodes.find((node) => node.id === id)?.needs;
  assert.deepEqual([needs('fit'), needs('recipes')], [['index'], ['fit']]);
});

test('a rung that needs approval gets a gate, and a rung that no node tries is named', () => {
  const { flowchart } = compileSpec({ ...GOOD_SPEC, approvals: { rungs: ['peft', 'zero-shot'] } }, host);
  assert.equal(flowchart.start, 'approve-zero-shot');
  const gate = flowchart.nodes['approve-peft'];
  assert.deepEqual(
    [gate?.form, gate?.form === 'approve' && gate.next, gate?.form === 'approve' && gate.rejected],
    ['approve', 'try-peft', 'peft-enough'],
  );
  const before = flowchart.nodes['peft-affordable'];
  assert.equal(before?.form === 'ask' && before.yes, 'approve-peft');
  const { message } = failureOf({ ...GOOD_SPEC, approvals: { rungs: ['full'] } });
  assert.match(message, /approvals\.rungs: the flowchart has no node that tries "full"/);
});

test('every node that tries such a rung has a gate of its own, and no node of the chart is overwritten', () => {
  const flowchart = {
    name: 'twice',
    start: 'approve-peft',
    nodes: {
      'approve-peft': { form: 'try', title: 'First', rung: 'peft', next: 'again' },
      again: { form: 'try', title: 'Second', rung: 'peft', next: 'end' },
      end: { form: 'end', title: 'End', verdict: 'target-not-met' },
    },
  };
  const spec = { ...GOOD_SPEC, flowchart, approvals: { rungs: ['peft', 'peft'] } };
  const { start, nodes } = compileSpec(spec, host).flowchart;
  assert.deepEqual(Object.keys(nodes), ['approve-peft', 'again', 'end', 'approve-peft-2', 'approve-peft-3']);
  assert.equal(start, 'approve-peft-2');
  const [gate, first, second, last] = ['approve-peft-2', 'approve-peft', 'approve-peft-3', 'again'].map(
    (name) => nodes[name],
  );
  assert.deepEqual(
    gate?.form === 'approve' && [gate.next, gate.rejected],
    ['approve-peft', 'approve-peft-3'],
    'a no to the first leads to the gate of the second',
  );
  assert.equal(first?.form === 'try' && first.next, 'approve-peft-3');
  assert.deepEqual(second?.form === 'approve' && [second.next, second.rejected], ['again', 'end']);
  assert.equal(last?.form === 'try' && last.next, 'end');
});

test('a node "train" of the curation must come after the split', () => {
  const step = (id: string, uses: string, options: object) => ({ id, form: 'step', uses, with: options });
  const read = step('read', 'curate.read@1', { source: '${inputs.source}', columns: '${inputs.columns}' });
  const split = (dataset: string) =>
    step('split', 'curate.split@1', { dataset, sizes: '${inputs.sizes}', seed: '${inputs.seed}' });
  const balance = (dataset: string) => step('train', 'curate.balance@1', { dataset });
  const withNodes = (...nodes: object[]) => ({
    ...GOOD_SPEC,
    data: { ...GOOD_SPEC.data, curation: { name: 'own', nodes } },
  });
  const after = withNodes(
    read,
    split('${nodes.read.output.dataset}'),
    balance('${nodes.split.output.train}'),
  );
  assert.equal(compileSpec(after, host).curation.nodes.at(-1)?.id, 'train');
  const before = withNodes(
    read,
    balance('${nodes.read.output.dataset}'),
    split('${nodes.train.output.dataset}'),
  );
  assert.match(
    failureOf(before).message,
    /a node "train" replaces the training rows: it must come after the split/,
  );
});

test('a token budget is asked for where the seconds are, and must cover the first rung', () => {
  const asks = (spec: object) => {
    const node = compileSpec({ ...GOOD_SPEC, ...spec }, host).flowchart.nodes['peft-affordable'];
    return node?.form === 'ask' ? node.all.map(({ fact }) => fact) : [];
  };
  assert.deepEqual(asks({}), ['budget.secondsLeft']);
  assert.deepEqual(asks({ budget: { seconds: 3600, tokens: 1e7 } }), [
    'budget.secondsLeft',
    'budget.tokensLeft',
  ]);
  const { code, message } = failureOf({ ...GOOD_SPEC, budget: { seconds: 3600, tokens: 10 } });
  assert.equal(code, 'BUDGET_TOO_SMALL');
  assert.match(
    message,
    /budget\.tokens: 10 tokens do not cover the first rung \(zero-shot\), which is estimated at \d+ tokens/,
  );
});

test('equal specs have equal plans, and a default that is written out changes nothing', () => {
  const written = compileSpec({ ...GOOD_SPEC, seed: 1 }, host);
  assert.deepEqual(compileSpec(GOOD_SPEC, host), written);
});

test('an empty spec says what is needed', () => {
  for (const empty of [null, {}, [], undefined]) {
    const { code, message } = failureOf(empty);
    assert.equal(code, 'INVALID_SPEC');
    assert.match(message, /spec: is empty: give one JSON object with at least "name"/);
  }
});

test('an unknown field is named, with the field that was meant', () => {
  const { code, message } = failureOf({ ...GOOD_SPEC, targt: 0.5 });
  assert.equal(code, 'INVALID_SPEC');
  assert.match(message, /targt: is not a known field\. Did you mean "target"\?/);
});

test('every issue is listed with its path', () => {
  const { message } = failureOf({ ...GOOD_SPEC, target: 2, budget: { seconds: -1 } });
  assert.match(message, /\n- target: /);
  assert.match(message, /\n- budget\.seconds: /);
});

test('unknown metrics, rungs, providers, pipelines and options are named', () => {
  const cases: [unknown, RegExp][] = [
    [
      { ...GOOD_SPEC, metrics: { primary: { id: 'chrff' } } },
      /metrics\.primary\.id: There is no metric "chrff"\. Did you mean "chrf"\?/,
    ],
    [
      { ...GOOD_SPEC, metrics: { secondary: [{ id: 'token-f1' }, { id: 'bleurt' }] } },
      /metrics\.secondary\[1\]\.id: There is no metric "bleurt"/,
    ],
    [{ ...GOOD_SPEC, rungs: { pefd: {} } }, /rungs\.pefd: There is no rung "pefd"\. Did you mean "peft"\?/],
    [{ ...GOOD_SPEC, model: { provider: 'nf4' } }, /model\.provider: There is no model provider "nf4"/],
    [{ ...GOOD_SPEC, data: { ...GOOD_SPEC.data, curation: 'standart' } }, /Did you mean "standard"\?/],
    [{ ...GOOD_SPEC, rungs: { peft: { learningRates: [] } } }, /rungs\.peft\.learningRates: /],
  ];
  for (const [spec, expected] of cases) assert.match(failureOf(spec).message, expected);
});

test('what a rung, a step or a pipeline of its own names must be there before anything runs', () => {
  const issues = (spec: unknown) => failureOf(spec).message.split('\n').slice(1);
  assert.deepEqual(issues({ ...GOOD_SPEC, rungs: { peft: { trainer: 'nf4-lorra' } } }), [
    '- rungs.peft.trainer: There is no trainer "nf4-lorra". Did you mean "nf4-lora"? Known: nf4-lora.',
  ]);
  assert.deepEqual(issues({ ...GOOD_SPEC, rungs: { rag: { retriever: 'lexicon' } } }), [
    '- rungs.rag.retriever: There is no retriever "lexicon". Did you mean "lexical"? Known: lexical.',
  ]);
  assert.deepEqual(
    issues({ ...GOOD_SPEC, metrics: { primary: { id: 'chrff' } } }).length,
    1,
    'reported once',
  );
  const model = (provider: string) => ({ provider, id: 'tiny', options: { weightFormat: 'f32' } });
  const training = (provider: string, trainer: string) => ({
    name: 'own',
    inputs: { trainer: 'comes later' },
    nodes: [
      step('train', 'train.adapter@1', { trainer, model: model(provider) }),
      step('score', 'score.predictions@1', {
        metrics: { primary: { id: 'chrf', with: {} }, secondary: [{ id: 'token-f1' }, { id: 'bleurt' }] },
      }),
    ],
  });
  const named = (provider: string, trainer: string) => {
    try {
      compilePipelineSpec(training(provider, trainer), host);
    } catch (error) {
      return String(error)
        .split('\n')
        .filter((line) => line.includes('There is no'));
    }
    return assert.fail('the pipeline was accepted');
  };
  const [trainer, provider, metric] = named('nf4', 'bf4-lora');
  assert.match(trainer ?? '', /^- spec\.nodes\[0\]\.with\.trainer: .*"bf4-lora"\. Did you mean "nf4-lora"\?/);
  assert.match(provider ?? '', /^- spec\.nodes\[0\]\.with\.model\.provider: .*"nf4"/);
  assert.match(metric ?? '', /^- spec\.nodes\[1\]\.with\.metrics\.secondary\[1\]\.id: .*"bleurt"/);
  assert.equal(named('nf4-lora', '${inputs.trainer}').length, 1, 'a reference has no value yet');
});

function withCuration(nodes: readonly unknown[]): unknown {
  return { ...GOOD_SPEC, data: { ...GOOD_SPEC.data, curation: { name: 'own', nodes } } };
}

const step = (id: string, uses: string, options: object = {}, after: readonly string[] = []) => ({
  id,
  form: 'step',
  uses,
  with: options,
  after,
});

test('pipelines: unknown kinds, bad references, repeated ids and cycles are named', () => {
  const unknown = failureOf(withCuration([step('split', 'curate.splitt@1')]));
  assert.match(
    unknown.message,
    /There is no step kind "curate\.splitt@1"\. Did you mean "curate\.split@1"\?/,
  );
  const reference = failureOf(
    withCuration([step('split', 'curate.null-filter@1', { dataset: '${nodes.nope.output.x}' })]),
  );
  assert.match(reference.message, /there is no node "nope"/);
  const input = failureOf(
    withCuration([step('split', 'curate.null-filter@1', { dataset: '${inputs.nope}' })]),
  );
  assert.match(input.message, /known inputs are .*source/);
  const twice = failureOf(
    withCuration([step('a', 'curate.null-filter@1'), step('a', 'curate.null-filter@1')]),
  );
  assert.match(twice.message, /the node id "a" is used more than once/);
  const cycle = failureOf(
    withCuration([
      step('a', 'curate.null-filter@1', { dataset: '${nodes.b.output.dataset}' }),
      step('b', 'curate.null-filter@1', { dataset: '${nodes.a.output.dataset}' }),
    ]),
  );
  assert.match(cycle.message, /these nodes wait for each other: a, b/);
});

test('options that hold no reference are checked at once', () => {
  const { message } = failureOf(
    withCuration([step('split', 'curate.split@1', { dataset: '${inputs.source}', seed: 'x' })]),
  );
  assert.match(message, /with\.seed: /);
});

test('flowcharts: unknown nodes, rungs and facts, and loops are named', () => {
  const end = { form: 'end', title: 'End', verdict: 'target-not-met' };
  const chart = (nodes: object) => ({
    ...GOOD_SPEC,
    flowchart: { name: 'own', start: 'a', nodes: { ...nodes, end } },
  });
  const ask = (fact: string, yes: string) => ({
    form: 'ask',
    title: 'Q',
    all: [{ fact, op: '>', value: 0 }],
    yes,
    no: 'end',
  });
  assert.match(failureOf(chart({ a: ask('best.low', 'nowhere') })).message, /there is no node "nowhere"/);
  assert.match(
    failureOf(chart({ a: ask('best.lo', 'end') })).message,
    /"best\.lo" is not a known fact\. Did you mean "best\.low"\?/,
  );
  assert.match(
    failureOf(chart({ a: { form: 'try', title: 'T', rung: 'magic', next: 'end' } })).message,
    /there is no rung "magic"/,
  );
  assert.match(failureOf(chart({ a: ask('target', 'b'), b: ask('target', 'a') })).message, /loop: a → b → a/);
});

test('a budget below the first rung is refused with the seconds that are needed', () => {
  const { code, message } = failureOf({ ...GOOD_SPEC, budget: { seconds: 1 } });
  assert.equal(code, 'BUDGET_TOO_SMALL');
  assert.match(message, /1 s do not cover the first rung \(zero-shot\), which is estimated at \d+ s/);
});
