/** What others may know of this plugin without loading it: names only. */
export const METRIC_IDS = ['chrf', 'contains', 'exact-match', 'token-f1', 'voice-rules'] as const;

export type MetricId = (typeof METRIC_IDS)[number];
