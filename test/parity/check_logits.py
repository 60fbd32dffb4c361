"""Logits against transformers in fp32: four positions of twenty prompts, SmolLM2 and random tiny checkpoints."""

import numpy as np
from safetensors.numpy import load_file

from smollm2_texts import logit_texts
from tiny_llama import TINY_SHAPES, load_base, make_random_checkpoint

PROMPTS, POSITIONS = 20, 4
#: Largest |difference| over the largest |logit| of the position.
LIMIT = 1e-4


def positions_of(random, length):
    """Four places of a sequence, its last one always among them."""
    return sorted([*(int(p) for p in random.choice(length - 1, POSITIONS - 1, replace=False)), length - 1])


def reference_logits(torch, model, sequences, positions):
    """`[sequences * positions, V]` float32."""
    rows = []
    with torch.no_grad():
        for ids, places in zip(sequences, positions):
            rows.append(model(torch.tensor([ids])).logits[0, places].float().numpy())
    return np.concatenate(rows)


def relative_difference(ours, theirs):
    return float((np.abs(ours - theirs).max(axis=1) / np.abs(theirs).max(axis=1)).max())


def compare(torch, probe, model, sequences, positions, room):
    out = room / "logits.safetensors"
    probe.ask("logits", ids=sequences, positions=positions, out=str(out))
    return relative_difference(load_file(out)["logits"], reference_logits(torch, model, sequences, positions))


def smollm2_sequences(tokenizer):
    """Twenty texts of 12 to 48 tokens and their four positions: also those of the committed fixture."""
    random = np.random.default_rng(41)
    sequences = [tokenizer.encode(text, add_special_tokens=False)[:48] for text in logit_texts(PROMPTS)]
    return sequences, [positions_of(random, len(ids)) for ids in sequences]


def check_smollm2(torch, probe, report, model, tokenizer, room):
    sequences, positions = smollm2_sequences(tokenizer)
    worst = compare(torch, probe, model, sequences, positions, room)
    report.at_most("logits: SmolLM2 fp32", worst, LIMIT, f"{PROMPTS} prompts x {POSITIONS} positions")


def check_tiny(torch, probe, report, room):
    for name, shape in TINY_SHAPES.items():
        folder = room / name
        make_random_checkpoint(torch, folder, shape)
        random = np.random.default_rng(43)
        lengths = [int(n) for n in random.integers(POSITIONS + 1, 90, PROMPTS)]
        sequences = [[int(t) for t in random.integers(3, 384, n)] for n in lengths]
        probe.open(folder)
        places = [positions_of(random, n) for n in lengths]
        worst = compare(torch, probe, load_base(torch, folder), sequences, places, room)
        report.at_most(f"logits: {name} fp32", worst, LIMIT, f"{PROMPTS} sequences x {POSITIONS} positions")
