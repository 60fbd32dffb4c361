"""Full fine-tuning: the gradient of every weight, and a loss curve, against PyTorch."""

import copy

import numpy as np
from safetensors.numpy import load_file

from check_training import BATCH, CONFIG, DECAY, WARM_UP, batch_loss

GRADIENT_LIMIT, LOSS_LIMIT = 1e-4, 1e-3
STEPS, RATE = 20, 1e-4
LORA_FIELDS = ["r", "loraAlpha", "loraDropout", "targetModules", "rsLora"]
FULL = {key: value for key, value in CONFIG.items() if key not in LORA_FIELDS}
FULL |= {"method": "full", "learningRate": RATE, "maxSteps": STEPS}


def learn_all(model):
    """The row of the padding token learns, too: PyTorch leaves it out, although here it also ends an answer."""
    model.get_input_embeddings().padding_idx = None
    return model


def decay_groups(model, decay):
    """Parameter groups as transformers' Trainer makes them."""
    from transformers import Trainer

    names = set(Trainer.get_decay_parameter_names(None, model))
    groups = {True: [], False: []}
    for name, parameter in model.named_parameters():
        groups[name in names].append(parameter)
    return [{"params": groups[True], "weight_decay": decay}, {"params": groups[False], "weight_decay": 0.0}]


def check_full_gradients(torch, probe, report, name, base, rows, room):
    """The probe holds the same weights as `base`, whose gradients are empty again afterwards."""
    loss = batch_loss(torch, learn_all(base), rows)
    loss.backward()
    out = room / "full-gradients.safetensors"
    ours_loss = probe.ask("full-gradients", rows=rows, out=str(out))["loss"]
    ours, named = load_file(out), dict(base.named_parameters())
    if set(ours) != set(named):
        raise SystemExit(f"{name}: gradients of {sorted(set(ours) ^ set(named))} on one side only")
    worst = 0.0
    for key, parameter in named.items():
        theirs = parameter.grad.numpy()
        worst = max(worst, float(np.linalg.norm(ours[key] - theirs) / np.linalg.norm(theirs)))
    base.zero_grad()
    note = f"worst tensor of {len(ours)}, relative to its norm"
    report.at_most(f"full gradients: {name}", worst, GRADIENT_LIMIT, note)
    report.at_most(f"full, loss before training: {name}", abs(ours_loss - loss.item()) / loss.item(), 1e-5, "relative")


def check_full_curve(torch, probe, report, name, base, rows, room):
    """Steps of AdamW over all weights of a copy of `base`, in the same order."""
    from transformers import get_scheduler

    model = learn_all(copy.deepcopy(base))
    optimizer = torch.optim.AdamW(decay_groups(model, DECAY), lr=RATE, foreach=False)
    schedule = get_scheduler("linear", optimizer, num_warmup_steps=WARM_UP, num_training_steps=STEPS)
    random = np.random.default_rng(73)
    batches = [[int(i) for i in random.choice(len(rows), BATCH, replace=False)] for _ in range(STEPS)]
    theirs = []
    for batch in batches:
        optimizer.zero_grad()
        loss = batch_loss(torch, model, [rows[i] for i in batch])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), FULL["maxGradNorm"])
        optimizer.step()
        schedule.step()
        theirs.append(loss.item())
    out = room / "full-trained.safetensors"
    answer = probe.ask("full-train", rows=rows, batches=batches, config=FULL, out=str(out))
    worst = max(abs(a - b) / b for a, b in zip(answer["losses"], theirs, strict=True))
    note = f"worst of {STEPS} steps, relative; {theirs[0]:.3f} to {theirs[-1]:.3f} nats"
    report.at_most(f"full loss curve: {name}", worst, LOSS_LIMIT, note)
