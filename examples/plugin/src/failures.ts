import { pluginFailures } from 'escada/plugin-api';

/** The plugin's name: options, messages and failure codes carry it. */
export const NAME = 'nearest-row';

/** Version of the package; part of the cache keys of its steps. */
export const VERSION = '0.1.0';

/** Failure codes of this plugin. Users read them as `nearest-row/NO_DEMONSTRATION`. */
export const failureCodes = {
  NO_DEMONSTRATION: {
    meaning: 'A prompt shows no question with its answer, so there is nothing to copy.',
    retryable: false,
    help: 'Use a rung that shows demonstrations, or set the option "withoutDemonstration" of this plugin to "echo".',
  },
} as const;

/** Makes a failure with one of the codes above. */
export const failure = pluginFailures(NAME, failureCodes);
