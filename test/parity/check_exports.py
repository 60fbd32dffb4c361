"""Our safetensors exports, opened by transformers: shards, and folders made from GGUF files of other families."""

import json

from check_bnb_out import differing, weights
from check_logits import compare, positions_of
from common import FIXTURES
from make_bnb_checkpoints import read
from tiny_llama import load_base

#: float32 sums in another order: largest |difference| over the largest |logit| of the position.
LIMIT = 1e-4
SHARD_BYTES = 40_000
MODELS = ["tiny-llama", "tiny-mistral", "tiny-qwen2"]


def export(probe, base, out, **fields):
    probe.ask("export", path=str(base), outPath=str(out), weightFormat="f32", blockSize=64, doubleQuant=True, **fields)
    return out


def unequal(torch, model, other):
    """Values that differ between two models' weights; tensors that only one has count whole."""
    ours, theirs = model.state_dict(), other.state_dict()
    wrong = sum(ours[name].numel() if name not in theirs else int((ours[name] != theirs[name]).sum()) for name in ours)
    return wrong + sum(theirs[name].numel() for name in theirs if name not in ours)


def shards(folder):
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    return len(set(index["weight_map"].values()))


def check(torch, probe, report, room):
    import numpy as np

    for name in MODELS:
        base = FIXTURES / name
        out = export(probe, base, room / f"shards-{name}", format="safetensors-f32", maxShardBytes=SHARD_BYTES)
        report.at_most(f"export in shards: {name}", unequal(torch, load_base(torch, out), load_base(torch, base)), 0,
                       f"values that differ in transformers, {shards(out)} files")
        merged = export(probe, base, room / f"merged-{name}", format="safetensors-f32", maxShardBytes=SHARD_BYTES,
                        adapterPath=str(base / "adapter"))
        model = load_base(torch, merged)
        random = np.random.default_rng(92)
        sequences = [[int(t) for t in random.integers(3, 384, n)] for n in (7, 24, 40)]
        probe.open(merged)
        worst = compare(torch, probe, model, sequences, [positions_of(random, len(ids)) for ids in sequences], room)
        report.at_most(f"logits of merged shards: {name}", worst, LIMIT, "in transformers, relative to the largest")
    for name in MODELS[1:]:
        out = export(probe, FIXTURES / "gguf" / f"{name}.gguf", room / f"folder-{name}", format="safetensors-f32")
        wrong = unequal(torch, load_base(torch, out), load_base(torch, FIXTURES / name))
        report.at_most(f"folder from GGUF: {name}", wrong, 0, "values that differ from the folder that the GGUF file is of")
    out = export(probe, FIXTURES / "tiny-llama", room / "shards-bnb", format="bnb-4bit", maxShardBytes=SHARD_BYTES)
    parts = differing(torch, read(torch, out), weights(probe, FIXTURES / "tiny-llama", room), True)
    report.at_most("bnb-4bit export in shards", sum(parts.values()), 0, f"codes, scales, values that differ, {shards(out)} files")
