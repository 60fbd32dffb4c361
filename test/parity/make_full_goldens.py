"""Writes golden-full.json of test/fixtures/tiny-llama, tiny-llama3, tiny-mistral and tiny-qwen2: full fine-tuning in float32.

    python test/parity/make_full_goldens.py

Gradients of the first batch and ten steps of AdamW over all weights; decay spares norms and biases, as transformers'
Trainer groups them. The checkpoints are those of make_tiny_llama.py and make_families.py.
"""

import numpy as np

from check_full import decay_groups, learn_all
from common import FIXTURES, calm_torch, f32, write_json
from make_tiny_llama import BATCHES, batch_loss, encode_rows, sample
from tiny_llama import FAMILIES, load_base

RATE, DECAY, WARM_UP = 1e-3, 0.1, 2


def full_golden(torch, model, rows):
    from transformers import get_scheduler

    random = np.random.default_rng(41)
    named = sorted(model.named_parameters())
    parameters = [p for _, p in named]
    loss = batch_loss(torch, model, [rows[i] for i in BATCHES[0]])
    loss.backward()
    gradients = {name: sample(p.grad, random) for name, p in named}
    optimizer = torch.optim.AdamW(decay_groups(model, DECAY), lr=RATE, foreach=False)
    schedule = get_scheduler("linear", optimizer, num_warmup_steps=WARM_UP, num_training_steps=len(BATCHES))
    curve = []
    for batch in BATCHES:
        optimizer.zero_grad()
        loss = batch_loss(torch, model, [rows[i] for i in batch])
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        rate = schedule.get_last_lr()[0]
        optimizer.step()
        schedule.step()
        curve.append({"loss": f32(loss.item()), "gradientNorm": f32(norm.item()), "learningRate": rate})
    return {"gradients": gradients, "curve": curve, "final": {name: sample(p.detach(), random) for name, p in named}}


def main():
    torch = calm_torch()
    from transformers import AutoTokenizer

    for name in ["tiny-llama", *FAMILIES]:
        folder = FIXTURES / name
        rows = encode_rows(AutoTokenizer.from_pretrained(folder))
        write_json(folder / "golden-full.json", full_golden(torch, learn_all(load_base(torch, folder)), rows))


if __name__ == "__main__":
    main()
