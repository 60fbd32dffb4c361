import { z } from 'zod';
import type { MetricFactoryV1 } from '../../sdk/contracts/metric.ts';
import type { PartedMetric } from './parted-metric.ts';

/** A regular expression that compiles is the only kind a spec can hold; the message names what is wrong. */
const ruleSchema = z
  .strictObject({
    name: z.string().min(1),
    pattern: z.string().min(1).max(1000),
    /** `u` is always on. */
    flags: z
      .string()
      .regex(/^[ims]*$/, 'only the flags i, m and s')
      .default(''),
    /** Whether the pattern must be found (`match`) or must not be (`avoid`). */
    expect: z.enum(['match', 'avoid']).default('match'),
  })
  .superRefine((rule, context) => {
    try {
      compile(rule);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      context.addIssue({ code: 'custom', path: ['pattern'], message });
    }
  });

const optionsSchema = z.strictObject({
  rules: z
    .array(ruleSchema)
    .min(1)
    .max(64)
    .refine(
      (rules) => new Set(rules.map((rule) => rule.name)).size === rules.length,
      'rule names must differ',
    ),
});

// Longer answers are judged by their beginning.
const MAX_CHARACTERS = 20_000;

function compile(rule: { readonly pattern: string; readonly flags: string }): RegExp {
  return new RegExp(rule.pattern, `${rule.flags}u`);
}

interface CompiledRule {
  readonly name: string;
  readonly pattern: RegExp;
  readonly wanted: boolean;
}

/** Whether a text keeps each rule, in the order of the rules. */
function keeps(text: string, rules: readonly CompiledRule[], enter?: (rule: number) => void): boolean[] {
  const judged = text.trim().slice(0, MAX_CHARACTERS);
  return rules.map((rule, at) => {
    enter?.(at);
    return rule.pattern.test(judged) === rule.wanted;
  });
}

/**
 * Share of answers that keep every rule. Patterns are those of JavaScript, which may backtrack without end: many rows are
 * judged in a thread, where each has its time. Statistics: `[rows, kept all, kept rule 1, kept rule 2, …]`.
 */
export const voiceRulesMetric: MetricFactoryV1 = {
  id: 'voice-rules',
  optionsSchema,
  create: (options): PartedMetric => {
    const rules = (options as z.infer<typeof optionsSchema>).rules.map((rule) => ({
      name: rule.name,
      pattern: compile(rule),
      wanted: rule.expect === 'match',
    }));
    return {
      specificationVersion: 'v1',
      id: 'voice-rules',
      parts: rules.map((rule) => `rule "${rule.name}"`),
      doRow: ({ prediction }, enter) => {
        const kept = keeps(prediction, rules, enter);
        return [1, kept.every(Boolean) ? 1 : 0, ...kept.map(Number)];
      },
      doAggregate: ([rows = 0, kept = 0]) => (rows === 0 ? 0 : kept / rows),
    };
  },
};
