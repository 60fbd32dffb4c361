/** Kinds of components that options name; `models`: a whole reference, `{ provider, id, options }`. */
export type ComponentKind = 'metrics' | 'models' | 'providers' | 'retrievers' | 'trainers';

/**
 * Fields of options that name a component (`model`; in a list, the field of each entry), each with its kind. A name that
 * no plugin brings is refused before anything runs. A model, trainer or retriever that is missing at the top of the
 * options gets the default of the plugin list.
 */
export type ComponentRefs = Readonly<Record<string, ComponentKind>>;
