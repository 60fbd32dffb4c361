import { z } from 'zod';
import type { StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';

const withSchema = z.strictObject({
  choices: z.array(z.json()).min(1),
  /** One output of a map node for each choice. */
  outputs: z.array(z.record(z.string(), z.json())),
  /** Node of the map's body whose output holds the number, and the number's name. */
  node: z.string(),
  field: z.string(),
});

const outputSchema = z.strictObject({ choice: z.json(), index: z.int(), values: z.array(z.number()) });

type With = z.infer<typeof withSchema>;
type Output = z.infer<typeof outputSchema>;

/** Picks the choice whose trial gave the lowest number; the first one of equals. */
export const selectLowest: StepKindV1<With, Output> = {
  specificationVersion: 'v1',
  kind: 'select.lowest@1',
  title: 'Pick the best trial',
  resource: 'cpu',
  retry: 'readOnly',
  cacheable: true,
  startToCloseTimeoutMs: 60_000,
  heartbeatTimeoutMs: 10_000,
  withSchema,
  outputSchema,
  summarize: (input) => `pick the lowest ${JSON.stringify(input['field'])}`,

  doRun: async ({ choices, outputs, node, field }) => {
    const values = outputs.map((output) => (output[node] as Record<string, unknown> | undefined)?.[field]);
    if (values.length !== choices.length || !values.every((value) => typeof value === 'number')) {
      throw new EscadaFailure({
        code: 'INVALID_SPEC',
        message: `select.lowest: no number ${node}.${field} for each choice.`,
      });
    }
    const index = values.indexOf(Math.min(...values));
    return { choice: choices[index] ?? null, index, values };
  },
};
