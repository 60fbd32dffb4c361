/** Sorts of what plugins bring and options choose by a name. */
export type PartSort = 'metrics' | 'providers' | 'retrievers' | 'trainers';

/**
 * Which fields of options hold such a name (`model.provider`; in a list, the field of each entry), so that a wrong one is
 * refused before anything runs.
 */
export type PartNames = Readonly<Record<string, PartSort>>;
