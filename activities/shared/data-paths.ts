import type { AdaptationSpec } from '../../schemas/adapt/adaptation-spec.ts';

/** Every file of the user's that a spec names by path. */
export function dataPaths({ data }: AdaptationSpec): string[] {
  return [data.source, data.documents?.source].flatMap((source) =>
    source !== undefined && 'path' in source ? [source.path] : [],
  );
}
