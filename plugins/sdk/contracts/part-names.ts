/** Sorts of what plugins bring and options choose by a name; `models`: a whole reference, `{ provider, id, options }`. */
export type PartSort = 'metrics' | 'models' | 'providers' | 'retrievers' | 'trainers';

/**
 * Which fields of options hold such a name (`model`; in a list, the field of each entry), so that a wrong one is refused
 * before anything runs. A model, trainer or retriever that stands at the top of the options and is left out gets the
 * default of the plugin list.
 */
export type PartNames = Readonly<Record<string, PartSort>>;
