import { z } from 'zod';
import type { StoredAction } from '../contracts/artifact-store.ts';

const actionSchema = z.strictObject({
  kind: z.string(),
  key: z.string(),
  output: z.record(z.string(), z.json()),
  seconds: z.number().nonnegative(),
});

/** A stored action from its JSON text; null when the text is torn or something else. */
export function parseAction(text: string): StoredAction | null {
  try {
    return actionSchema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
