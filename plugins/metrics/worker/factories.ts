import type { MetricFactoryV1 } from '../../sdk/contracts/metric.ts';
import { chrfMetric } from './chrf.ts';
import { containsMetric } from './contains.ts';
import { exactMatchMetric } from './exact-match.ts';
import { tokenF1Metric } from './token-f1.ts';
import { voiceRulesMetric } from './voice-rules.ts';

/** The metrics of this plugin, as they score on whatever thread they are called. */
export const METRIC_FACTORIES: readonly MetricFactoryV1[] = [
  chrfMetric,
  containsMetric,
  exactMatchMetric,
  tokenF1Metric,
  voiceRulesMetric,
];
