/** Intervals and paired tests on rows of sufficient statistics: pure functions, seeded, the same on every machine. */
export { bootstrapInterval } from './bootstrap-interval.ts';
export type { BootstrapOptions, Interval } from './bootstrap-interval.ts';
export { correctedLevel, correctedLow } from './multiple-tries.ts';
export { pairedBootstrap } from './paired-bootstrap.ts';
export type { PairedBootstrapOptions, PairedDifference } from './paired-bootstrap.ts';
export type { Aggregate } from './row-table.ts';
