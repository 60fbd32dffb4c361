import { z } from 'zod';
import type { ArtifactStoreV1 } from '../../plugins/sdk/contracts/artifact-store.ts';
import type { AdaptationPlan } from '../../schemas/plan/adaptation-plan.ts';
import type { ArtifactRef } from '../../schemas/common/artifact-ref.ts';
import type { JsonValue } from '../../schemas/common/json.ts';
import { droppedSampleSchema, rowCountsSchema } from '../../schemas/outcome/row-counts.ts';

/** What one curation step did to the rows. Steps may drop rows, add rows, or both. */
export interface FunnelStep {
  readonly node: string;
  /** What the step does, in a few words. */
  readonly summary: string;
  /** Rows that came in, as far as the step before it counts rows. */
  readonly before: number;
  readonly rows: number;
  readonly dropped: number;
  readonly added: number;
  /** A few of the dropped rows. */
  readonly samples: readonly { readonly reason: string; readonly input: string }[];
}

type Curation = { readonly [node: string]: JsonValue };

/** The counts in an output that may hold more. */
const countedSchema = z.object(rowCountsSchema.shape);

/** The steps that count rows, in the order of the plan. */
export async function funnelSteps(
  plan: Pick<AdaptationPlan, 'curation'>,
  curation: Curation,
  store: ArtifactStoreV1,
): Promise<FunnelStep[]> {
  const steps = new Map<string, FunnelStep>();
  for (const node of plan.curation.nodes) {
    const output = curation[node.id];
    if (output === undefined || node.form !== 'step' || node.countsRows !== true) continue;
    const { rows, dropped, droppedSamples } = countedSchema.parse(output);
    // A step reads what the last of its needs left; the first one reads the file.
    const source = node.needs.flatMap((need) => steps.get(need) ?? []).at(-1);
    const before = source?.rows ?? rows + dropped;
    steps.set(node.id, {
      node: node.id,
      summary: node.summary,
      before,
      rows,
      dropped,
      added: Math.max(0, rows + dropped - before),
      samples: droppedSamples === undefined ? [] : await samplesOf(droppedSamples, store),
    });
  }
  return [...steps.values()];
}

async function samplesOf(ref: ArtifactRef, store: ArtifactStoreV1): Promise<FunnelStep['samples']> {
  const dropped = z.array(droppedSampleSchema).parse(await store.readJson(ref));
  // An empty cell is one of the reasons for which a row is dropped.
  return dropped.map(({ reason, input }) => ({ reason, input: input ?? '' }));
}
