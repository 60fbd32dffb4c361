"""NF4 against bitsandbytes, bit for bit, on ten million values of each of five distributions, a million at a time; every
block size on a million."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

import nf4_reference as nf4

VALUES, CHUNK = 10_000_000, 1_000_000
BLOCKS = [32, 64, 128, 256, 512, 1024, 2048, 4096]


def distributions(torch, generator, count):
    """Name to a maker of `count` float32 values."""
    normal = lambda: torch.randn(count, generator=generator)
    rows = lambda: torch.exp(torch.randn(count // 1000, generator=generator)).repeat_interleave(1000)
    outliers = lambda: torch.where(torch.rand(count, generator=generator) < 1e-3, 40.0, 1.0)
    return {
        "normal": lambda: 0.02 * normal(),
        "uniform": lambda: torch.rand(count, generator=generator) - 0.5,
        "heavy tails": lambda: 0.02 * normal() / torch.rand(count, generator=generator).clamp_min(1e-3),
        "rows of unequal scale": lambda: 0.01 * rows() * normal(),
        "outliers and zeros": lambda: 0.02 * normal() * outliers() * (torch.rand(count, generator=generator) > 0.3),
    }


def save(path, **tensors):
    save_file(tensors, path)
    return str(path)


def differing(a, b):
    """Elements whose bits differ."""
    kind = {1: np.uint8, 4: np.uint32}[a.dtype.itemsize]
    return int((a.reshape(-1).view(kind) != b.reshape(-1).view(kind)).sum())


def check_first_level(torch, probe, report, room):
    import bitsandbytes.functional as bnb
    from safetensors.torch import save_file as save_torch

    generator = torch.Generator().manual_seed(51)
    for name, make in distributions(torch, generator, CHUNK).items():
        wrong = {"codes": 0, "absmax": 0, "decoded": 0}
        for _ in range(VALUES // CHUNK):
            values = make().bfloat16()
            save_torch({"values": values}, room / "in.safetensors")
            probe.ask("quantize", input=str(room / "in.safetensors"), out=str(room / "out.safetensors"))
            ours = load_file(room / "out.safetensors")
            packed, state = bnb.quantize_4bit(values, quant_type="nf4", blocksize=64)
            # Decoded to float32 with the state's own scales: the value before any rounding to the stored type.
            state.dtype = torch.float32
            decoded = bnb.dequantize_4bit(packed, state)
            wrong["codes"] += differing(ours["packed"], packed.numpy())
            wrong["absmax"] += differing(ours["absmax"], state.absmax.numpy())
            wrong["decoded"] += differing(ours["decoded"], decoded.numpy())
        for part, count in wrong.items():
            report.at_most(f"nf4 {part}: {name}", count, 0, f"differing of {VALUES:,} bf16 values")


def check_nested(torch, probe, report, room):
    """Second level: decoding with the table that bitsandbytes made, encoding by the nearest rule."""
    import bitsandbytes.functional as bnb

    generator = torch.Generator().manual_seed(52)
    wrong = {"decoded": 0, "codes": 0, "absmax": 0}
    for make in distributions(torch, generator, CHUNK).values():
        values = make().bfloat16()
        packed, state = bnb.quantize_4bit(values, quant_type="nf4", blocksize=64, compress_statistics=True)
        state.dtype = torch.float32
        theirs = bnb.dequantize_4bit(packed, state).numpy()
        path = save(room / "nested.safetensors", packed=packed.numpy().reshape(-1), codes=state.absmax.numpy(),
                    table=state.state2.code.numpy(), absmax=state.state2.absmax.numpy())
        probe.ask("nestedDecode", input=path, offset=float(state.offset), out=str(room / "out.safetensors"))
        wrong["decoded"] += differing(load_file(room / "out.safetensors")["decoded"], theirs)
        _, scales = nf4.encode(values.float().numpy())
        offset = np.float32(scales.astype(np.float64).mean())
        codes, second, _ = nf4.nest(scales, offset)
        path = save(room / "scales.safetensors", scales=scales)
        probe.ask("nestedEncode", input=path, offset=float(offset), out=str(room / "out.safetensors"))
        ours = load_file(room / "out.safetensors")
        wrong["codes"] += differing(ours["codes"], codes)
        wrong["absmax"] += differing(ours["absmax"], second)
    report.at_most("nf4 nested decoding", wrong["decoded"], 0, f"differing of {5 * CHUNK:,} values, the file's own table")
    report.at_most("nf4 nested encoding", wrong["codes"] + wrong["absmax"], 0, "codes and scales, nearest rule, same offset")


def check_blocks(torch, probe, report, room):
    """Codes, scales and values in every block size, plain and nested; a million is no multiple of most."""
    import bitsandbytes.functional as bnb
    from safetensors.torch import save_file as save_torch

    values = distributions(torch, torch.Generator().manual_seed(53), CHUNK)["heavy tails"]().bfloat16()
    save_torch({"values": values}, room / "in.safetensors")
    for block in BLOCKS:
        probe.ask("quantize", input=str(room / "in.safetensors"), out=str(room / "out.safetensors"), block=block)
        ours = load_file(room / "out.safetensors")
        packed, state = bnb.quantize_4bit(values, quant_type="nf4", blocksize=block)
        state.dtype = torch.float32
        decoded = bnb.dequantize_4bit(packed, state).numpy()
        wrong = differing(ours["packed"], packed.numpy()) + differing(ours["absmax"], state.absmax.numpy())
        wrong += differing(ours["decoded"], decoded)
        packed, state = bnb.quantize_4bit(values, quant_type="nf4", blocksize=block, compress_statistics=True)
        state.dtype = torch.float32
        path = save(room / "nested.safetensors", packed=packed.numpy().reshape(-1), codes=state.absmax.numpy(),
                    table=state.state2.code.numpy(), absmax=state.state2.absmax.numpy())
        probe.ask("nestedDecode", input=path, offset=float(state.offset), block=block, out=str(room / "out.safetensors"))
        wrong += differing(load_file(room / "out.safetensors")["decoded"], bnb.dequantize_4bit(packed, state).numpy())
        report.at_most(f"nf4 blocks of {block}", wrong, 0, f"codes, scales, values that differ, plain and nested, {CHUNK:,} values")


def check_cuda_model(torch, probe, report, room):
    """The block that holds all thresholds of the CUDA kernel (golden file)."""
    golden = json.loads((Path(__file__).parents[1] / "fixtures/golden/nf4_thresholds.json").read_text())
    values = np.array([int(h, 16) for h in golden["input_hex"]], dtype=np.uint32).view(np.float32)
    path = save(room / "in.safetensors", values=values)
    probe.ask("quantize", input=path, out=str(room / "out.safetensors"))
    packed = load_file(room / "out.safetensors")["packed"]
    codes = np.stack([packed >> 4, packed & 15], axis=1).reshape(-1)[: values.size]
    wrong = int((codes != np.array(golden["codes_cuda_model"])).sum())
    report.at_most("nf4 thresholds of the CUDA kernel", wrong, 0, f"differing of {values.size} values")


def check(torch, probe, report, room):
    check_first_level(torch, probe, report, room)
    check_nested(torch, probe, report, room)
    check_blocks(torch, probe, report, room)
    check_cuda_model(torch, probe, report, room)
