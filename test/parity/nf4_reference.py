"""NF4 with blocks of 64 (or another size) and optional double quantization, in numpy, written from the published rule.

Encoding: code = number of thresholds strictly below x * (1/absmax), all in float32, zero blocks get code 7.
Second level (double quantization): mean of the absmax (float64, rounded to float32) subtracted, blocks of 256,
nearest entry of the signed dynamic map by float32 midpoints, ties to the even code. Decoding: product rounded,
then sum rounded, both float32. Two codes a byte, the first in the high nibble.
"""

import numpy as np

BLOCK, NESTED_BLOCK = 64, 256


def _from_hex(text):
    return np.array([int(h, 16) for h in text.split()], dtype=np.uint32).view(np.float32)


CODES = _from_hex(
    "bf800000 bf3239b1 bf066b30 beca32a0 be91a24d be3d353f bdba7871 00000000 "
    "3da2faff 3e24cae3 3e7c04dd 3ead033a 3ee1a4b8 3f1007ab 3f3913b3 3f800000"
)
THRESHOLDS = _from_hex(
    "bf591cd9 bf1c5270 beeb8480 beadea76 be703cec be0d38bc bd3a7871 3d22faff "
    "3df64863 3e5067e0 3e9582d4 3ec753f9 3f006d03 3f248daf 3f5c89d9"
)


def dynamic_map_signed():
    """The 256 entries of the signed dynamic map as hosts with fused multiply-add make them."""
    one, low = np.float32(1.0), np.float32(0.1)
    values = [np.float32(0.0), one]
    for i in range(7):
        n = 2**i
        step = np.float32((one - low) / np.float32(n))
        # float64 holds the product of two float32 exactly; one rounding at the end stands for the fused operation.
        up = [np.float32(np.float64(step) * j + np.float64(low)) for j in range((n + 1) // 2)]
        down = [np.float32(np.float64(one) - np.float64(step) * (n - j)) for j in range((n + 1) // 2, n + 1)]
        edges = up + down
        scale = np.float32(10.0 ** (i - 6))
        for left, right in zip(edges, edges[1:]):
            middle = np.float32((left + right) * np.float32(0.5))
            values += [np.float32(scale * middle), np.float32(-scale * middle)]
    return np.sort(np.array(values, dtype=np.float32))


def _blocks(values, size):
    flat = np.asarray(values, dtype=np.float32).reshape(-1)
    padded = np.zeros(-(-flat.size // size) * size, dtype=np.float32)
    padded[: flat.size] = flat
    return flat.size, padded.reshape(-1, size)


def _scaled(blocks, absmax):
    inverse = np.divide(np.float32(1), absmax, where=absmax > 0, out=np.zeros_like(absmax))
    return (blocks * inverse[:, None]).astype(np.float32)


def encode(weights, block=BLOCK):
    """(codes uint8 [n], absmax float32 [ceil(n/block)]) of any finite array."""
    count, blocks = _blocks(weights, block)
    absmax = np.abs(blocks).max(axis=1)
    codes = np.searchsorted(THRESHOLDS, _scaled(blocks, absmax).reshape(-1), side="left").astype(np.uint8)
    return codes[:count], absmax


def pack(codes):
    """Bytes with the first code of each pair in the high nibble; an odd end is filled with code 7."""
    even = np.append(codes, np.uint8(7)) if codes.size % 2 else codes
    return ((even[0::2] << 4) | even[1::2]).astype(np.uint8)


def nearest(table, values):
    """Index of the nearest entry by float32 midpoints, ties to the even index."""
    middles = ((table[:-1] + table[1:]) * np.float32(0.5)).astype(np.float32)
    below = np.searchsorted(middles, values, side="left")
    above = np.searchsorted(middles, values, side="right")
    return np.where(below % 2 == 0, below, above).astype(np.uint8)


def nest(absmax, offset=None):
    """Double quantization of absmax, minus `offset` or its mean: (codes uint8, second absmax float32, offset float32)."""
    offset = np.float32(absmax.astype(np.float64).mean()) if offset is None else offset
    count, blocks = _blocks((absmax - offset).astype(np.float32), NESTED_BLOCK)
    second = np.abs(blocks).max(axis=1)
    return nearest(dynamic_map_signed(), _scaled(blocks, second).reshape(-1))[:count], second, offset


def unnest(codes, second, offset):
    """The absmax that the nested form decodes to."""
    scale = np.repeat(second, NESTED_BLOCK)[: codes.size]
    product = (dynamic_map_signed()[codes] * scale).astype(np.float32)
    return (product + offset).astype(np.float32)


def decode(codes, absmax, block=BLOCK):
    """float32 weights [n]."""
    return (CODES[codes] * np.repeat(absmax, block)[: codes.size]).astype(np.float32)
