/**
 * The first version number in a text such as `rustc 1.95.0 (…)` or `go version go1.26.8 linux/amd64`; null
 * when there is none.
 * @param {string} text
 * @returns {string | null}
 */
export function versionIn(text) {
  return /(\d+)\.(\d+)(?:\.(\d+))?/.exec(text)?.[0] ?? null;
}

/**
 * Whether `version` is at least `minimum`, comparing the dotted numbers; missing numbers count as 0.
 * @param {string} version
 * @param {string} minimum
 * @returns {boolean}
 */
export function isAtLeast(version, minimum) {
  const have = version.split('.').map(Number);
  const want = minimum.split('.').map(Number);
  for (let place = 0; place < Math.max(have.length, want.length); place += 1) {
    const difference = (have[place] ?? 0) - (want[place] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}
