/** Specs made to harm: deep, huge, or named after what every object has. */
import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { FileStore } from '../../core/store/file-store.ts';
import { corePlugin } from '../../plugins/steps/index.ts';
import { createStepActivities } from '../../activities/step-activities.ts';
import { putJsonl } from '../../plugins/sdk/jsonl.ts';
import { compilePipelineSpec } from '../../core/compile/compile-pipeline-spec.ts';
import { compileTrainSpec } from '../../core/compile/compile-train-spec.ts';
import { compileSpec } from '../../core/compile/compile-spec.ts';
import { isEscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import { createPluginHost } from '../../plugins/host/host.ts';
import { metricsPlugin } from '../../plugins/metrics/index.ts';
import { createProjectHost } from '../../plugins.ts';
import { nearest } from '../../schemas/common/nearest.ts';
import { GOOD_SPEC } from '../fixtures/specs.ts';

const host = createProjectHost();
const PIPELINE = { name: 'p', nodes: [{ id: 'a', form: 'approval', title: 'A', subject: 1 }] };
/** Generous for a busy machine; without bounds these take minutes. */
const SOON_MS = 10_000;

function refusal(work: () => unknown): { readonly code: string; readonly message: string } {
  const startMs = performance.now();
  try {
    work();
  } catch (error) {
    assert.ok(isEscadaFailure(error), error instanceof Error ? error.stack : String(error));
    assert.ok(performance.now() - startMs < SOON_MS, `${performance.now() - startMs} ms`);
    const chars = error.message.length + JSON.stringify(error.fields).length;
    assert.ok(chars < 65_536, `an error of ${chars} characters`);
    return error;
  }
  assert.fail('accepted');
}

/** A value of so many levels, as it comes out of JSON. */
function nested(depth: number, open = '[', close = ']'): unknown {
  return JSON.parse(`${open.repeat(depth)}0${close.repeat(depth)}`);
}

test('nesting is bounded at every place', () => {
  for (const depth of [65, 50_000]) {
    for (const value of [nested(depth), nested(depth, '{"a":', '}')]) {
      const specs = [
        { ...GOOD_SPEC, rungs: { peft: value } },
        { ...GOOD_SPEC, unknown: value },
        { ...GOOD_SPEC, data: value },
        value,
      ];
      for (const spec of specs) {
        const { code, message } = refusal(() => compileSpec(spec, host));
        assert.equal(code, 'INVALID_SPEC');
        if (spec !== value) assert.match(message, /nested more than 64 levels/);
      }
      const node = { id: 'b', form: 'step', uses: 'curate.read@1', with: { source: value } };
      const pipeline = { ...PIPELINE, nodes: [...PIPELINE.nodes, node] };
      assert.match(refusal(() => compilePipelineSpec(pipeline, host)).message, /nested more than 64 levels/);
    }
  }
});

test('thousands of mistakes and names of megabytes make a short answer soon', () => {
  const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, at) => [`unknown${at}`, at]));
  assert.match(refusal(() => compileSpec({ ...GOOD_SPEC, ...many }, host)).message, /and \d+ more/);
  const long = 'x'.repeat(4_000_000);
  refusal(() => compileSpec({ ...GOOD_SPEC, [long]: 1 }, host));
  refusal(() => compileSpec({ ...GOOD_SPEC, rungs: { [long]: {} } }, host));
  refusal(() => compileSpec({ ...GOOD_SPEC, metrics: { primary: { id: long } } }, host));
  const uses = { id: 'b', form: 'step', uses: `curate.${'x'.repeat(50)}@1`, with: { [long]: long } };
  refusal(() => compilePipelineSpec({ ...PIPELINE, nodes: [uses] }, host));
  assert.equal(nearest(long, ['target']), null);
});

test('names that every object has are names like others', () => {
  const parse = (text: string): unknown => JSON.parse(text);
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    refusal(() => compileSpec({ ...GOOD_SPEC, ...(parse(`{"${name}":{"a":1}}`) as object), oops: 1 }, host));
    refusal(() => compileSpec({ ...GOOD_SPEC, rungs: parse(`{"${name}":{}, "oops": {}}`) }, host));
    refusal(() => compileSpec({ ...GOOD_SPEC, metrics: { primary: { id: name } } }, host));
    refusal(() => compileSpec({ ...GOOD_SPEC, model: { provider: name } }, host));
    const end = '{"form":"end","title":"E","verdict":"target-not-met"}';
    const chart = parse(`{"name":"c","start":"${name}","nodes":{"end":${end}}}`);
    refusal(() => compileSpec({ ...GOOD_SPEC, flowchart: chart }, host));
    const node = { id: 'b', form: 'approval', title: 'B', subject: `\${inputs.${name}}` };
    refusal(() => compilePipelineSpec({ ...PIPELINE, nodes: [node] }, host));
    assert.equal(({} as Record<string, unknown>)['a'], undefined);
  }
});

test('patterns that never end end the step, once and for all, with rule and row named', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'escada-patterns-'));
  const store = new FileStore(folder);
  const quick = createPluginHost([
    { plugin: corePlugin },
    { plugin: metricsPlugin, options: { rowTimeoutMs: 300 } },
  ]);
  const score = createStepActivities({ host: quick, store, dataRoots: [] })['score.predictions@1'];
  const answers = ['short', `${'a word and another '.repeat(20)}${'a'.repeat(3000)}!`];
  const predictions = await putJsonl(
    store,
    answers.map((prediction, at) => ({ id: `r${at}`, input: '', reference: '', prediction })),
  );
  for (const pattern of ['^(\\w+\\s?)*$', '(a+)+$', '([a-z ]+)*;', '(?=(a+a+)+b)']) {
    const metrics = {
      primary: { id: 'voice-rules', with: { rules: [{ name: 'no end', pattern }] } },
      secondary: [],
    };
    const input = {
      predictions,
      usage: { promptTokens: 0, completionTokens: 0, trainingTokens: 0, seconds: 0, peakMemoryBytes: null },
      metrics,
      statistics: { level: 0.95, resamples: 200, seed: 1 },
    };
    await assert.rejects(new MockActivityEnvironment().run(score as never, input), (error: unknown) => {
      assert.ok(error instanceof ApplicationFailure, String(error));
      assert.deepEqual([error.type, error.nonRetryable], ['METRIC_FAILED', true]);
      assert.match(error.message, /rule "no end", row "r1"/);
      return true;
    });
  }
});

test('what is no spec at all is refused', () => {
  for (const raw of [null, undefined, 0, '', 'x', [], [[]], true]) {
    assert.equal(refusal(() => compileSpec(raw, host)).code, 'INVALID_SPEC');
    assert.equal(refusal(() => compilePipelineSpec(raw, host)).code, 'INVALID_SPEC');
  }
});

const END = { form: 'end', title: 'E', verdict: 'target-not-met' };

test('a spec of more than 256 KiB is refused before anything looks at it', () => {
  const fits = 'x'.repeat(255 * 1024);
  for (const compile of [compileSpec, compilePipelineSpec, compileTrainSpec]) {
    for (const raw of [
      { ...GOOD_SPEC, unknown: 'x'.repeat(256 * 1024) },
      { ...GOOD_SPEC, unknown: 'ü'.repeat(128 * 1024) },
      { ...GOOD_SPEC, unknown: Array.from({ length: 200_000 }, () => 0) },
      { ...GOOD_SPEC, unknown: { ['x'.repeat(300_000)]: 0 } },
      Array.from({ length: 2_000_000 }, () => []),
    ]) {
      assert.match(refusal(() => compile(raw, host)).message, /spec: is larger than 256 KiB/);
    }
    const { message } = refusal(() => compile({ ...GOOD_SPEC, unknown: fits }, host));
    assert.doesNotMatch(message, /larger than/);
    assert.match(refusal(() => compile({ ...GOOD_SPEC, a: nested(65) }, host)).message, /nested more than/);
  }
});

test('lists and texts have bounds, and what is within them compiles soon', () => {
  const gate = (id: string, after: string[]) => ({ id, form: 'approval', title: 'A', subject: 1, after });
  const names = Array.from({ length: 200 }, (_, at) => `n${at}`);
  // Each node waits for all that are written after it: the order has to be turned round.
  const reversed = names.map((id, at) => gate(id, names.slice(at + 1)));
  const { plan } = compilePipelineSpec({ name: 'p', nodes: reversed }, host);
  assert.deepEqual(
    plan.nodes.map(({ id }) => id),
    names.toReversed(),
  );
  const tooMany = [...names, 'more'].map((id) => gate(id, []));
  assert.match(refusal(() => compilePipelineSpec({ name: 'p', nodes: tooMany }, host)).message, /nodes: /);
  const step = (id: string) => ({ id, form: 'step', uses: 'curate.read@1' });
  const map = { id: 'm', form: 'map', over: [1], body: names.map(step) };
  assert.match(refusal(() => compilePipelineSpec({ name: 'p', nodes: [map] }, host)).message, /body: /);
  const long = 'x'.repeat(5000);
  const endless: [object, RegExp][] = [
    [{ data: { ...GOOD_SPEC.data, source: { path: long } } }, /data\.source/],
    [{ data: { ...GOOD_SPEC.data, columns: { input: long, output: 'output' } } }, /data\.columns\.input/],
    [{ model: { id: long } }, /model\.id/],
    [{ rungs: { peft: { config: { targetModules: names.concat(names) } } } }, /targetModules/],
    [{ metrics: { primary: { id: long } } }, /metrics\.primary\.id/],
  ];
  for (const [part, at] of endless)
    assert.match(refusal(() => compileSpec({ ...GOOD_SPEC, ...part }, host)).message, at);
});

test('a flowchart may be one long chain, but not endlessly long; a loop is found wherever it closes', () => {
  const chain = (length: number, last: object) =>
    Object.fromEntries([
      ...Array.from({ length }, (_, at) => [
        `n${at}`,
        { form: 'try', title: 'T', rung: 'icl', next: at + 1 < length ? `n${at + 1}` : 'last' },
      ]),
      ['last', last],
    ]) as object;
  const chart = (nodes: object) => ({ ...GOOD_SPEC, flowchart: { name: 'c', start: 'n0', nodes } });
  compileSpec(chart(chain(199, END)), host);
  assert.match(
    refusal(() => compileSpec(chart(chain(2000, END)), host)).message,
    /flowchart\.nodes: has 2001 entries; the maximum is 200/,
  );
  const back = { form: 'try', title: 'T', rung: 'icl', next: 'n100' };
  assert.match(refusal(() => compileSpec(chart(chain(199, back)), host)).message, /loop: n100 → n101 → /);
  const one = { fact: 'unknown.fact', op: '==', value: { fact: 'another.unknown' } };
  const ask = {
    form: 'ask',
    title: 'A',
    all: Array.from({ length: 32 }, () => one),
    yes: 'last',
    no: 'last',
  };
  const asks = Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`n${at}`, ask]));
  refusal(() => compileSpec(chart({ ...asks, last: END }), host));
  const many = { ...ask, all: Array.from({ length: 33 }, () => one) };
  assert.match(refusal(() => compileSpec(chart({ n0: many, last: END }), host)).message, /n0\.all/);
});

test('thousands of wrong references and kinds are reported soon', () => {
  const wrong = Object.fromEntries(Array.from({ length: 8000 }, (_, at) => [`o${at}`, `\${inputs.x${at}}`]));
  const inputs = Object.fromEntries(Array.from({ length: 2000 }, (_, at) => [`i${at}`, 0]));
  const node = { id: 'b', form: 'step', uses: 'curate.read@1', with: wrong };
  refusal(() => compilePipelineSpec({ name: 'p', inputs, nodes: [node] }, host));
  const body = Array.from({ length: 50 }, (_, at) => ({
    id: `s${at}`,
    form: 'step',
    uses: `curate.rea${at}@1`,
  }));
  const maps = Array.from({ length: 80 }, (_, at) => ({ id: `m${at}`, form: 'map', over: [1], body }));
  refusal(() => compilePipelineSpec({ name: 'p', nodes: maps }, host));
});
