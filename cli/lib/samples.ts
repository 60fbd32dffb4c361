import { readJsonl, type Prediction } from '../../plugins/sdk/jsonl.ts';
import type { ArtifactObjectsV1 } from '../../plugins/sdk/contracts/artifact-store.ts';
import type { AdaptationOutcome } from '../../schemas/outcome/decision.ts';

const SAMPLE_ROWS = 3;

/** Before and after on the same prompts: what each finalist answered to the first test rows. */
export async function renderSamples(outcome: AdaptationOutcome, store: ArtifactObjectsV1): Promise<string> {
  const answers = await Promise.all(
    outcome.test.candidates.map(async ({ rung, score }) => ({
      rung,
      rows: await readJsonl<Prediction>(store, score.predictions),
    })),
  );
  const width = Math.max(...answers.map(({ rung }) => rung.length), 'reference'.length);
  const line = (name: string, text: string) => `  ${name.padEnd(width)}  ${text.replaceAll(/\s+/g, ' ')}`;
  const blocks = (answers[0]?.rows ?? [])
    .slice(0, SAMPLE_ROWS)
    .map((row, index) =>
      [
        line('input', row.input),
        ...answers.map(({ rung, rows }) => line(rung, rows[index]?.prediction ?? '')),
        line('reference', row.reference),
      ].join('\n'),
    );
  return ['Before and after, on the same test rows', ...blocks].join('\n\n');
}
