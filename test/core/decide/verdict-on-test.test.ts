import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verdictOnTest, verdictText, type VerdictFacts } from '../../../core/decide/verdict-on-test.ts';

const facts = (reached: VerdictFacts['reached'], low: number, correctedLow: number): VerdictFacts => ({
  reached,
  target: 0.5,
  low,
  correctedLow,
});

test('a target that was met on dev needs the plain bound on test, one that was not the corrected one', () => {
  const cases: [VerdictFacts, ReturnType<typeof verdictOnTest>][] = [
    [facts('target-met', 0.5, 0.4), 'target-met'],
    [facts('target-met', 0.49, 0.4), 'target-not-confirmed'],
    [facts('target-not-met', 0.6, 0.5), 'target-met'],
    [facts('target-not-met', 0.6, 0.49), 'target-not-confirmed'],
    [facts('target-not-met', 0.49, 0.4), 'target-not-met'],
    [facts('budget-exhausted', 0.6, 0.5), 'target-met'],
    [facts('budget-exhausted', 0.6, 0.49), 'target-not-confirmed'],
    [facts('budget-exhausted', 0.49, 0.4), 'budget-exhausted'],
  ];
  for (const [given, verdict] of cases) {
    assert.equal(verdictOnTest(given), verdict, JSON.stringify(given));
    assert.match(verdictText(verdict, given), /0\.500/);
  }
});

test('never says that a target was not met which the winner reaches on test', () => {
  for (const reached of ['target-met', 'target-not-met', 'budget-exhausted'] as const)
    for (const low of [0.5, 0.7])
      for (const corrected of [0.1, 0.5, low])
        assert.notEqual(verdictOnTest(facts(reached, low, Math.min(low, corrected))), 'target-not-met');
});

test('says what dev and test showed', () => {
  const text = (given: VerdictFacts) => verdictText(verdictOnTest(given), given);
  assert.equal(text(facts('target-met', 0.6, 0.6)), 'meets the target 0.500');
  assert.match(
    text(facts('target-not-met', 0.6, 0.55)),
    /on the test rows, which decide.*0\.550.*dev did not show it/,
  );
  assert.match(
    text(facts('target-not-met', 0.6, 0.45)),
    /neither on dev nor with the correction .*\(0\.450\)/,
  );
});
