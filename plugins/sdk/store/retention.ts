/** Whatever the settings are, nothing goes that was used so short a time ago: a run may be about to refer to it. */
export const MIN_KEEP_MS = 3_600_000;
