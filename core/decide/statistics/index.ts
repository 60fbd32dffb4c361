/** Intervals and paired tests on rows of sufficient statistics: seeded, the same on every machine; large ones in threads. */
export { bootstrapInterval } from './bootstrap-interval.ts';
export type { BootstrapOptions, Interval } from './bootstrap-interval.ts';
export { correctedLevel, correctedLow } from './multiple-tries.ts';
export { pairedBootstrap } from './paired-bootstrap.ts';
export type { PairedBootstrapOptions, PairedDifference } from './paired-bootstrap.ts';
export type { ResampleWork } from './resample.ts';
export type { Aggregate } from './row-table.ts';
