"""Our bnb-4bit exports, opened by transformers and bitsandbytes: codes, scales, decoded weights bit for bit, and logits."""

import numpy as np
from safetensors.numpy import load_file

from check_logits import compare, positions_of
from check_training import adapt
from make_bnb_checkpoints import read
from nf4_reference import unnest
from tiny_llama import TINY_SHAPES, load_base, make_random_checkpoint

#: float32 sums in another order: largest |difference| over the largest |logit| of the position.
LIMIT = 1e-4
BLOCKS = [32, 64, 128, 256, 512, 1024, 2048, 4096]


def linears(model):
    import bitsandbytes as bnb

    return {f"{name}.weight": module.weight for name, module in model.named_modules() if isinstance(module, bnb.nn.Linear4bit)}


def scales_of(state):
    """float32 scale of each block, second level decoded."""
    if not state.nested:
        return state.absmax.numpy()
    return unnest(state.absmax.numpy(), state.state2.absmax.numpy(), np.float32(state.offset.item()))


def bits(array):
    array = np.ascontiguousarray(array).reshape(-1)
    return array.view({1: np.uint8, 4: np.uint32}[array.dtype.itemsize])


def differing(torch, model, ours, decode):
    """Differing codes, scales and decoded values of what transformers holds and of the file `ours`."""
    import bitsandbytes.functional as bnb

    weights, wrong = linears(model), {"codes": 0, "scales": 0, "values": 0}
    if len(ours) != 3 * len(weights):
        raise SystemExit(f"{len(weights)} 4-bit layers in transformers, {len(ours) // 3} in the engine")
    for name, weight in weights.items():
        state = weight.quant_state
        wrong["codes"] += int((bits(weight.data.view(torch.uint8).numpy()) != bits(ours[f"{name}.packed"])).sum())
        wrong["scales"] += int((bits(scales_of(state)) != bits(ours[f"{name}.scales"])).sum())
        if decode:
            state.dtype = torch.float32
            decoded = bnb.dequantize_4bit(weight.data, state).numpy()
            wrong["values"] += int((bits(decoded) != bits(ours[f"{name}.decoded"])).sum())
    return wrong


def export(probe, base, out, adapter=None, block=64, double=True):
    probe.ask("export", path=str(base), outPath=str(out), format="bnb-4bit", weightFormat="nf4", blockSize=block,
              doubleQuant=double, **({} if adapter is None else {"adapterPath": str(adapter)}))


def weights(probe, model, room, block=64, double=True):
    probe.ask("weights", model=str(model), blockSize=block, doubleQuant=double, out=str(room / "weights.safetensors"))
    return load_file(room / "weights.safetensors")


def check_model(torch, probe, report, name, base, vocabulary, room, adapter=None):
    """One export: as the engine would hold the base (without adapter) and as it reads its own file."""
    out = room / f"bnb-{name.replace(' ', '-')}"
    export(probe, base, out, adapter)
    model = read(torch, out)
    sources = [out] if adapter else [base, out]
    total = {}
    for source in sources:
        for part, count in differing(torch, model, weights(probe, source, room), True).items():
            total[part] = total.get(part, 0) + count
    count = sum(weight.quant_state.shape.numel() for weight in linears(model).values())
    report.at_most(f"bnb-4bit export: {name}", sum(total.values()), 0, f"codes, scales, values that differ, {count:,} weights")
    random = np.random.default_rng(91)
    sequences = [[int(t) for t in random.integers(3, vocabulary, n)] for n in (7, 24, 40)]
    places = [positions_of(random, len(ids)) for ids in sequences]
    probe.open(out, "nf4")
    worst = compare(torch, probe, model, sequences, places, room)
    report.at_most(f"logits of the export: {name}", worst, LIMIT, "in transformers, relative to the largest")


def check_blocks(torch, probe, report, base, room):
    """Every block size: transformers reads what we wrote. (Widths of 64 decode wrongly there in larger blocks on some CPUs.)"""
    wrong, out = 0, room / "bnb-blocks"
    for block in BLOCKS:
        for double in (False, True):
            export(probe, base, out, block=block, double=double)
            model = read(torch, out)
            if {weight.quant_state.blocksize for weight in linears(model).values()} != {block}:
                raise SystemExit(f"transformers reads other blocks than {block}")
            parts = differing(torch, model, weights(probe, base, room, block, double), False)
            wrong += parts["codes"] + parts["scales"]
    report.at_most("bnb-4bit export: every block size", wrong, 0, f"codes and scales that differ, blocks of {BLOCKS}")


def check_tiny(torch, probe, report, room):
    base = room / "bnb-base"
    make_random_checkpoint(torch, base, TINY_SHAPES["tiny grouped heads"])
    check_model(torch, probe, report, "tiny base", base, 384, room)
    adapt(torch, load_base(torch, base), room / "bnb-adapter", b_scale=0.05)
    check_model(torch, probe, report, "tiny merged", base, 384, room, room / "bnb-adapter")
    check_blocks(torch, probe, report, base, room)


def check_smollm2(torch, probe, report, gguf, room):
    check_model(torch, probe, report, "SmolLM2 base", gguf, 49152, room)
