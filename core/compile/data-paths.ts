import type { DataSource } from '../../schemas/spec/adaptation-spec.ts';

/** Data of any spec: rows, and perhaps documents. */
interface SpecData {
  readonly source: DataSource;
  readonly documents?: { readonly source: DataSource } | undefined;
}

/** Every file of the user's that a spec names by path. */
export function dataPaths({ data }: { readonly data: SpecData }): string[] {
  return [data.source, data.documents?.source].flatMap((source) =>
    source !== undefined && 'path' in source ? [source.path] : [],
  );
}
