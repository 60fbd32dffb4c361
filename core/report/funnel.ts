import type { ArtifactStoreV1 } from '../../plugins/sdk/contracts/artifact-store.ts';
import type { AdaptationPlan } from '../../schemas/plan/adaptation-plan.ts';
import type { ArtifactRef } from '../../schemas/common/artifact-ref.ts';
import type { JsonObject, JsonValue } from '../../schemas/common/json.ts';

/** What one curation step did to the rows. Steps may drop rows, add rows, or both. */
export interface FunnelStep {
  readonly node: string;
  /** What the step does, in a few words. */
  readonly summary: string;
  /** Rows that came in, as far as the step before it reports. */
  readonly before: number;
  readonly rows: number;
  readonly dropped: number;
  readonly added: number;
  /** A few of the dropped rows. */
  readonly samples: readonly { readonly reason: string; readonly input: string }[];
}

type Curation = { readonly [node: string]: JsonValue };
type Counted = JsonObject & { readonly rows: number; readonly dropped: number };

function isCounted(value: JsonValue | undefined): value is Counted {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const output = value as JsonObject;
  return typeof output['rows'] === 'number' && typeof output['dropped'] === 'number';
}

/** The steps that count rows, in the order of the plan. */
export async function funnelSteps(
  plan: Pick<AdaptationPlan, 'curation'>,
  curation: Curation,
  store: ArtifactStoreV1,
): Promise<FunnelStep[]> {
  const steps = new Map<string, FunnelStep>();
  for (const node of plan.curation.nodes) {
    const output = curation[node.id];
    if (!isCounted(output)) continue;
    const { rows, dropped } = output;
    // A step reads what the last of its needs left; the first one reads the file.
    const source = node.needs.flatMap((need) => steps.get(need) ?? []).at(-1);
    const before = source?.rows ?? rows + dropped;
    steps.set(node.id, {
      node: node.id,
      summary: node.form === 'step' ? node.summary : '',
      before,
      rows,
      dropped,
      added: Math.max(0, rows + dropped - before),
      samples: await droppedSamples(output, store),
    });
  }
  return [...steps.values()];
}

async function droppedSamples(output: JsonObject, store: ArtifactStoreV1): Promise<FunnelStep['samples']> {
  const ref = output['droppedSamples'] as unknown as ArtifactRef | null | undefined;
  if (ref == null) return [];
  const dropped = (await store.readJson(ref)) as { reason: string; input: string | null }[];
  // An empty cell is one of the reasons for which a row is dropped.
  return dropped.map(({ reason, input }) => ({ reason, input: input ?? '' }));
}
