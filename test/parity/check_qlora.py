"""Fifty steps of QLoRA against PEFT over bitsandbytes' 4-bit layers, on the same 4-bit checkpoint and on each side's own."""

import shutil

from check_training import LOSS_LIMIT, farthest, reference_curve
from tiny_llama import load_bnb

TOKENIZER = ["tokenizer.json", "tokenizer_config.json"]


def check(torch, probe, report, name, source, folder, rows, room, limit_all):
    """`folder` holds the model in 16 or 32 bits for transformers, `source` the same for the engine.

    Three curves. The first, on the checkpoint that bitsandbytes saves, always has the limit; with `limit_all` the others have
    it too, without they are only told. The second is the same checkpoint with products in 16 bits. The third is on what the
    engine makes of `source`: bitsandbytes takes the second-level codes from a coarser table on a CPU than on a GPU, whose
    rule is the engine's, so there the two train on different weights.
    """
    saved, start = room / f"saved {name}", room / f"start {name} QLoRA"
    model = load_bnb(torch, folder)
    model.save_pretrained(saved)
    for file in TOKENIZER:
        shutil.copy(folder / file, saved)
    batches, losses, _ = reference_curve(torch, model, rows, start)
    probe.open(saved, "nf4")
    worst, note = farthest(probe, rows, batches, losses, start, room)
    report.at_most(f"loss curve: {name} QLoRA", worst, LOSS_LIMIT, f"{note}; the same 4-bit checkpoint")
    worst, note = farthest(probe, rows, batches, losses, start, room, bf16=True)
    check, note = f"loss curve: {name} QLoRA in 16 bits", f"{note}; the same 4-bit checkpoint"
    if limit_all:
        report.at_most(check, worst, LOSS_LIMIT, note)
    else:
        report.figure(check, worst, note)
    probe.open(source, "nf4")
    worst, note = farthest(probe, rows, batches, losses, start, room)
    check, note = f"loss curve: {name} QLoRA, quantized by itself", f"{note}; each side quantizes"
    if limit_all:
        report.at_most(check, worst, LOSS_LIMIT, note)
    else:
        report.figure(check, worst, note)
