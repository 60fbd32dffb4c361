import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_PLAN_STEPS } from '../../schemas/plan/constants.ts';
import { stepsOfPlan, tooManySteps } from '../../schemas/plan/plan-size.ts';
import { pipelineSpecSchema } from '../../schemas/spec/pipeline-spec.ts';

const step = (id: string) => ({ id, form: 'step', uses: 'test.kind@1' }) as const;
const map = (id: string, body: number, over: unknown) =>
  ({ id, form: 'map', body: Array.from({ length: body }, (_, at) => step(`s${at}`)), over }) as const;
const approval = (id: string) => ({ id, form: 'approval', title: 'Continue?', subject: 1 }) as const;
const items = (count: number) => Array.from({ length: count }, () => 1);

test('steps are counted once, bodies for each item that is known, approvals as two', () => {
  assert.equal(
    stepsOfPlan([step('a'), map('m', 3, items(4)), map('n', 3, '${item}'), approval('b')]),
    1 + 12 + 3 + 2,
  );
});

test('a plan is refused from the first step too many on, with the count and the largest node', () => {
  const full = [map('m', 50, items(64)), map('n', 50, items(36))];
  assert.equal(stepsOfPlan(full), MAX_PLAN_STEPS);
  assert.equal(tooManySteps(full, MAX_PLAN_STEPS), null);
  const why = tooManySteps([...full, approval('gate')], MAX_PLAN_STEPS) ?? '';
  assert.match(
    why,
    /^comes to 5002 steps \(3 nodes, 1 of them approvals; the largest is m with 3200 steps\); at most 5000/,
  );
  const parsed = pipelineSpecSchema.safeParse({ name: 'big', nodes: [...full, step('one')] });
  assert.deepEqual(
    parsed.error?.issues.map(({ path }) => path.join('.')),
    ['nodes'],
  );
  assert.match(parsed.error?.issues[0]?.message ?? '', /^comes to 5001 steps/);
  assert.equal(pipelineSpecSchema.safeParse({ name: 'full', nodes: full }).success, true);
});

test('every list of a pipeline has a largest length', () => {
  const nodes = [step('a')];
  const tooLong: readonly (readonly unknown[])[] = [
    Array.from({ length: 201 }, (_, at) => step(`n${at}`)),
    [{ ...step('a'), after: Array.from({ length: 201 }, (_, at) => `n${at}`) }],
    [map('m', 51, items(1))],
    [map('m', 1, items(65))],
  ];
  for (const list of tooLong)
    assert.equal(pipelineSpecSchema.safeParse({ name: 'long', nodes: list }).success, false);
  assert.equal(pipelineSpecSchema.safeParse({ name: 'short', nodes }).success, true);
});
