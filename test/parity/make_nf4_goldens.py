"""Writes test/fixtures/golden/nf4_blocksizes_bnb0502.json: NF4 of bitsandbytes' CPU functions in every block size.

    python test/parity/make_nf4_goldens.py

As nf4_cpu_bnb0502.json, which holds blocks of 64 and their input generator. No width is a multiple of any block, so that
blocks cross rows, and one count is odd. Values go in as one column: for widths that are a multiple of 16, but not of the
block, the CPU decoder of this version takes the scale of another block.
"""

import hashlib

import numpy as np

import nf4_reference as nf4
from common import FIXTURES, calm_torch, write_json

BLOCKS = [32, 64, 128, 256, 512, 1024, 2048, 4096]
SHAPES = [(96, 352), (101, 173)]
DTYPES = {"bf16": "bfloat16", "f32": "float32"}


def sha(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def hexes(values):
    return [f"{bits:08x}" for bits in np.asarray(values, dtype=np.float32).reshape(-1).view(np.uint32)]


def generated(count):
    at = np.arange(count, dtype=np.uint64)
    u = ((at * np.uint64(2654435761)) % np.uint64(1 << 32)) >> np.uint64(8)
    v = u.astype(np.float32) / np.float32(1 << 24) - np.float32(0.5)
    gain = (1 + (at // np.uint64(64)) % np.uint64(7)).astype(np.float32)
    return ((v * gain) * np.float32(0.1)).astype(np.float32)


def stored(torch, tensor):
    """Bytes of a tensor in its own type."""
    return tensor.contiguous().view(torch.uint8).numpy()


def case(torch, shape, dtype, block):
    import bitsandbytes.functional as bnb

    values = torch.from_numpy(generated(shape[0] * shape[1])).to(getattr(torch, DTYPES[dtype])).reshape(-1, 1)
    packed, state = bnb.quantize_4bit(values, quant_type="nf4", blocksize=block)
    codes, absmax = nf4.encode(values.float().numpy(), block)
    if nf4.pack(codes).tobytes() != packed.numpy().tobytes() or not (state.absmax.numpy() == absmax).all():
        raise SystemExit(f"{shape} {dtype} {block}: bitsandbytes differs from the published rule")
    decoded = bnb.dequantize_4bit(packed, state)
    if dtype == "f32" and not (decoded.numpy().reshape(-1) == nf4.decode(codes, absmax, block)).all():
        raise SystemExit(f"{shape} {dtype} {block}: bitsandbytes decodes to other values")
    same, twice = bnb.quantize_4bit(values, quant_type="nf4", blocksize=block, compress_statistics=True)
    if not (same == packed).all():
        raise SystemExit("codes depend on the second level")
    offset = np.float32(twice.offset.item())
    nearest, second, _ = nf4.nest(absmax, offset)
    if not (second == twice.state2.absmax.numpy()).all():
        raise SystemExit(f"{shape} {dtype} {block}: second-level scales differ")
    return {
        "shape": list(shape), "dtype": dtype, "blocksize": block,
        "input_f32_sha256": sha(values.float().numpy()),
        "packed_sha256": sha(packed.numpy()), "absmax_f32_sha256": sha(absmax),
        "decoded_sha256": sha(stored(torch, decoded)), "first8": {"absmax": hexes(absmax[:8])},
        "nested": {
            "offset_hex": hexes([offset])[0], "nested_absmax_hex": hexes(second[:8]),
            "absmax_u8_sha256_cpu_lut": sha(twice.absmax.numpy()), "absmax_u8_sha256_nearest": sha(nearest),
            "decoded_sha256_cpu": sha(stored(torch, bnb.dequantize_4bit(same, twice))),
        },
    }


def main():
    torch = calm_torch()
    cases = [case(torch, shape, dtype, block) for block in BLOCKS for shape in SHAPES for dtype in DTYPES]
    write_json(FIXTURES / "golden" / "nf4_blocksizes_bnb0502.json", {"cases": cases})


if __name__ == "__main__":
    main()
