/** Specs made to harm: deep, huge, or named after what every object has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compilePipelineSpec } from '../../activities/compile/compile-pipeline-spec.ts';
import { compileSpec } from '../../activities/compile/compile-spec.ts';
import { isEscadaFailure } from '../../plugins/api/failure.ts';
import { createProjectHost } from '../../plugins.ts';
import { nearest } from '../../schemas/common/nearest.ts';
import { GOOD_SPEC } from '../fixtures/specs.ts';

const host = createProjectHost();
const PIPELINE = { name: 'p', nodes: [{ id: 'a', form: 'approval', title: 'A', of: 1 }] };
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

test('nesting is bounded, wherever it stands', () => {
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
  const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, at) => [`unknown${at}`, at]));
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
    const node = { id: 'b', form: 'approval', title: 'B', of: `\${inputs.${name}}` };
    refusal(() => compilePipelineSpec({ ...PIPELINE, nodes: [node] }, host));
    assert.equal(({} as Record<string, unknown>)['a'], undefined);
  }
});

test('what is no spec at all is refused', () => {
  for (const raw of [null, undefined, 0, '', 'x', [], [[]], true]) {
    assert.equal(refusal(() => compileSpec(raw, host)).code, 'INVALID_SPEC');
    assert.equal(refusal(() => compilePipelineSpec(raw, host)).code, 'INVALID_SPEC');
  }
});
