/** Starting and reading runs for the tests of whole adaptations. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AdaptationSpecInput } from '../../../schemas/spec/adaptation-spec.ts';
import type { AdaptationOutcome, MeasuredRecord, Progress } from '../../../schemas/outcome/decision.ts';
import { activitiesOf, type History, type HistoryActivity } from './history.ts';
import type { Place } from './place.ts';
import { sampleRows, toCsv } from './rows.ts';
import { TINY_ROWS } from './specs.ts';

export interface FinishedRun {
  readonly workflowId: string;
  readonly outcome: AdaptationOutcome;
  readonly history: History;
  readonly progress: Progress;
  readonly activities: readonly HistoryActivity[];
}

/** The records of a run in which every rung that was tried was measured. */
export function measuredRungs({ rungs }: Pick<AdaptationOutcome, 'rungs'>): MeasuredRecord[] {
  return rungs.map((one) => {
    assert.ok(one.outcome === 'measured', `${one.rung}: ${one.reason}`);
    return one;
  });
}

/** Rows for each curation step to drop: an empty cell on either side, a repetition, an answer that is too long. */
const DIRT = [
  { input: '', output: 'An answer to nothing.' },
  { input: 'a question without an answer', output: '' },
  ...sampleRows(1),
  { input: 'an endless tale', output: 'And then it continued. '.repeat(30) },
];

/** Writes the rows that tiny specs read. */
export async function writeRows(place: Pick<Place, 'dataDir'>): Promise<void> {
  await writeFile(join(place.dataDir, 'rows.csv'), toCsv([...sampleRows(TINY_ROWS), ...DIRT]));
}

/** Waits for a started run and reads everything it left. Throws the run's failure. */
export async function finished(place: Pick<Place, 'client'>, workflowId: string): Promise<FinishedRun> {
  const client = await place.client();
  const handle = client.handle(workflowId);
  const outcome = await handle.result();
  const history = await handle.fetchHistory();
  const progress = await client.progress(workflowId);
  return { workflowId, outcome, history, progress, activities: activitiesOf(history) };
}

/** Starts an adaptation and waits for its end. */
export async function runAdaptation(
  place: Pick<Place, 'client'>,
  spec: AdaptationSpecInput,
): Promise<FinishedRun> {
  const client = await place.client();
  return await finished(place, (await client.startAdaptation(spec)).workflowId);
}

/** The final training of the PEFT rung. */
export const FINAL_TRAINING = 'peft/train';

/** What the final training left: digest of the weights, and the artifact that holds the adapter's folder. */
export function adapterOf(run: FinishedRun): { readonly sha256: string; readonly uri: string } {
  const training = run.activities.find(({ id }) => id === FINAL_TRAINING);
  const result = training?.result?.['output'] as
    { adapterSha256: string; adapter: { uri: string } } | undefined;
  assert.ok(result, `${FINAL_TRAINING} has no result in the history`);
  return { sha256: result.adapterSha256, uri: result.adapter.uri };
}
