"""Writes test/fixtures/statistics/golden.json: bootstrap intervals by numpy, with Philox 2x32-10 written anew.

    python test/parity/make_statistics_goldens.py

Draw i of resample j under seed s is word i mod 2 of philox(key = s, counter = (i div 2, j)), times rows, over 2^32.
`unseeded` repeats one case with 400,000 resamples of numpy's own generator: what the interval converges to.
"""

import numpy as np

from common import FIXTURES, write_json

MASK = np.uint64(0xFFFFFFFF)


def philox2x32(key, c0, c1):
    """Arrays of uint64 holding 32-bit words; returns the two output words."""
    c0, c1, key = (np.asarray(x, dtype=np.uint64) & MASK for x in (c0, c1, key))
    for _ in range(10):
        product = np.uint64(0xD256D193) * c0
        c0, c1 = (product >> np.uint64(32)) ^ key ^ c1, product & MASK
        key = (key + np.uint64(0x9E3779B9)) & MASK
    return c0, c1


def indexes(seed, resamples, rows):
    pairs = (rows + 1) // 2
    i, j = np.meshgrid(np.arange(pairs), np.arange(resamples))
    words = np.stack(philox2x32(np.full_like(i, seed), i, j), axis=-1).reshape(resamples, -1)[:, :rows]
    return (words.astype(np.float64) * rows / 2**32).astype(np.int64)


def ratio(sums):
    """The aggregate of every case: sum of column 1 over sum of column 0."""
    return sums[..., 1] / sums[..., 0]


def interval(values, level):
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return {"low": float(low), "high": float(high)}


def cases(random):
    weights = random.integers(5, 60, 48)
    return {
        "binary": np.stack([np.ones(48, int), (random.random(48) < 0.7).astype(int)], axis=1),
        "weighted": np.stack([weights, random.binomial(weights, 0.6)], axis=1),
        "odd": np.stack([np.ones(7, int), random.integers(0, 2, 7)], axis=1),
    }


def main():
    random = np.random.default_rng(61)
    singles, settings = [], {"binary": (2000, 0.95, 1), "weighted": (999, 0.9, 4294967295), "odd": (500, 0.99, 7)}
    data = cases(random)
    for name, rows in data.items():
        resamples, level, seed = settings[name]
        values = ratio(rows[indexes(seed, resamples, len(rows))].sum(axis=1))
        singles.append({"name": name, "rows": rows.tolist(), "resamples": resamples, "level": level, "seed": seed,
                        "value": float(ratio(rows.sum(axis=0))), **interval(values, level)})
    a, better = data["weighted"], data["weighted"].copy()
    better[:, 1] = np.minimum(better[:, 0], better[:, 1] + random.integers(-2, 5, 48))
    at = indexes(3, 2000, 48)
    deltas = ratio(better[at].sum(axis=1)) - ratio(a[at].sum(axis=1))
    tail = min(int((deltas <= 0).sum()), int((deltas >= 0).sum()))
    paired = {"a": a.tolist(), "b": better.tolist(), "resamples": 2000, "level": 0.95, "seed": 3,
              "delta": float(ratio(better.sum(axis=0)) - ratio(a.sum(axis=0))), **interval(deltas, 0.95),
              "pValue": min(1.0, 2 * (1 + tail) / 2001)}
    free = ratio(a[random.integers(0, 48, (400_000, 48))].sum(axis=1))
    words = [[int(w) for w in philox2x32(k, x, y)] for k, x, y in [(0, 0, 0), (2**32 - 1,) * 3, (0x13198A2E, 0x243F6A88, 0x85A308D3)]]
    write_json(FIXTURES / "statistics" / "golden.json",
               {"philox": words, "singles": singles, "paired": paired, "unseeded": interval(free, 0.9)})


if __name__ == "__main__":
    main()
