"""LoRA gradients against PEFT, and fifty steps of AdamW with warm-up and decay against PyTorch."""

import contextlib

import numpy as np
from safetensors.numpy import load_file

from tiny_llama import LINEARS

GRADIENT_LIMIT, LOSS_LIMIT = 1e-4, 0.01
STEPS, WARM_UP, BATCH, RATE, DECAY = 50, 5, 4, 1e-3, 0.01
LORA = {"r": 8, "lora_alpha": 16, "lora_dropout": 0.0, "bias": "none", "task_type": "CAUSAL_LM"}
CONFIG = {
    "r": 8, "loraAlpha": 16, "loraDropout": 0, "targetModules": "all-linear", "rsLora": False, "learningRate": RATE,
    "lrSchedulerType": "linear", "warmupSteps": WARM_UP, "weightDecay": DECAY, "adamBeta1": 0.9, "adamBeta2": 0.999,
    "adamEpsilon": 1e-8, "maxGradNorm": 1.0, "perDeviceTrainBatchSize": BATCH, "gradientAccumulationSteps": 1,
    "numTrainEpochs": 1, "maxSteps": STEPS, "maxSeqLengthTokens": 512, "seed": 0, "saveSteps": 1000,
}


def adapt(torch, base, folder, b_scale, seed=61):
    """PEFT model with a seeded adapter, also written to `folder`; B differs from zero when `b_scale` does."""
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(base, LoraConfig(target_modules=LINEARS, **LORA))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if "lora_A" in name:
                bound = parameter.shape[1] ** -0.5
                parameter.copy_((2 * torch.rand(parameter.shape, generator=generator) - 1) * bound)
            elif "lora_B" in name:
                parameter.copy_(b_scale * torch.randn(parameter.shape, generator=generator))
    model.save_pretrained(folder)
    return model


def random_rows(vocabulary, count, seed, longest):
    """Rows of random ids with a prompt and a labelled tail."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        length = int(random.integers(12, longest))
        rows.append({"ids": [int(t) for t in random.integers(3, vocabulary, length)],
                     "labelledFrom": int(random.integers(2, length - 4))})
    return rows


def text_rows(tokenizer, pairs):
    """Chat rows as training makes them: prompt by the template, answer and end of turn labelled."""
    rows = []
    for question, answer in pairs:
        text = tokenizer.apply_chat_template([{"role": "user", "content": question}], tokenize=False,
                                             add_generation_prompt=True)
        prompt = tokenizer.encode(text, add_special_tokens=False)
        answer = tokenizer.encode(answer, add_special_tokens=False) + [tokenizer.convert_tokens_to_ids("<|im_end|>")]
        rows.append({"ids": prompt + answer, "labelledFrom": len(prompt)})
    return rows


def batch_loss(torch, model, rows):
    """Sum over labelled tokens over their number; row by row, so that padding plays no part."""
    total, count = 0.0, 0
    for row in rows:
        ids, start = torch.tensor([row["ids"]]), row["labelledFrom"]
        logits = model(ids).logits[0, start - 1 : -1]
        total = total + torch.nn.functional.cross_entropy(logits, ids[0, start:], reduction="sum")
        count += len(row["ids"]) - start
    return total / count


def learning(model):
    return sorted((n.replace(".default", ""), p) for n, p in model.named_parameters() if p.requires_grad)


def check_gradients(torch, probe, report, name, base, rows, room):
    """The probe holds the same weights as `base`. Returns the base without the adapter."""
    folder = room / f"adapter-{name}"
    model = adapt(torch, base, folder, b_scale=0.05)
    loss = batch_loss(torch, model, rows)
    loss.backward()
    answer, ours = ask_gradients(probe, folder, rows, room, sixteen_bits=False)
    if len(ours) != len(learning(model)):
        raise SystemExit(f"{name}: {len(ours)} gradients, PEFT has {len(learning(model))}")
    exact = {key: parameter.grad.numpy().copy() for key, parameter in learning(model)}
    far = distances(ours, exact)
    report.at_most(f"LoRA gradients: {name}", max(far), GRADIENT_LIMIT, f"worst tensor of {len(far)}, relative to its norm")
    report.at_most(f"loss before training: {name}", abs(answer["loss"] - loss.item()) / loss.item(), 1e-4, "relative")
    answer, ours = ask_gradients(probe, folder, rows, room, sixteen_bits=True)
    model.zero_grad()
    with bf16_products(torch, model):
        batch_loss(torch, model, rows).backward()
    ours, bf16 = distances(ours, exact), distances({key: p.grad.numpy() for key, p in learning(model)}, exact)
    note = f"worst tensor; medians {np.median(ours):.1e} and of bfloat16 {np.median(bf16):.1e}; {answer['isaClass']}"
    report.at_most(f"LoRA gradients in 16 bits, bfloat16's as limit: {name}", max(ours), max(bf16), note)
    return model.unload()


def distances(gradients, exact):
    """Of each tensor: norm of the difference over its norm."""
    return [float(np.linalg.norm(gradients[key] - grad) / np.linalg.norm(grad)) for key, grad in exact.items()]


@contextlib.contextmanager
def bf16_products(torch, model):
    """Frozen layers multiply operands rounded to bfloat16, forward and backward, and sum in float32."""
    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, weight):
            ctx.save_for_backward(weight)
            return short(x) @ short(weight).T

        @staticmethod
        def backward(ctx, grad):
            return short(grad) @ short(ctx.saved_tensors[0]), None

    def short(x):
        return x.bfloat16().float()

    def product(layer):
        return lambda x: Product.apply(x, layer.weight) + (0 if layer.bias is None else layer.bias)

    frozen = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and not m.weight.requires_grad]
    for layer in frozen:
        layer.forward = product(layer)
    try:
        yield
    finally:
        for layer in frozen:
            del layer.forward


def ask_gradients(probe, adapter, rows, room, sixteen_bits):
    """The engine's answer, and gradients by PEFT's names."""
    out = room / "gradients.safetensors"
    answer = probe.ask("gradients", adapter=str(adapter), rows=rows, out=str(out), sixteenBits=sixteen_bits)
    return answer, load_file(out)


def reference_curve(torch, base, rows, folder):
    """Fifty steps from a seeded adapter, written to `folder`: (row numbers of each step, losses, base without the adapter)."""
    from transformers import get_scheduler

    model = adapt(torch, base, folder, b_scale=0.0)
    parameters = [p for _, p in learning(model)]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=DECAY, foreach=False)
    schedule = get_scheduler("linear", optimizer, num_warmup_steps=WARM_UP, num_training_steps=STEPS)
    random = np.random.default_rng(71)
    batches = [[int(i) for i in random.choice(len(rows), BATCH, replace=False)] for _ in range(STEPS)]
    losses = []
    for batch in batches:
        optimizer.zero_grad()
        loss = batch_loss(torch, model, [rows[i] for i in batch])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CONFIG["maxGradNorm"])
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return batches, losses, model.unload()


def farthest(probe, rows, batches, losses, folder, room, bf16=False):
    """The open model trains in the same order from the same adapter: (largest relative difference of a loss, note)."""
    answer = probe.ask("train", adapter=str(folder), rows=rows, batches=batches, config={**CONFIG, "bf16": bf16},
                       out=str(room / "trained.safetensors"))
    worst = max(abs(a - b) / b for a, b in zip(answer["losses"], losses, strict=True))
    return worst, f"worst of {STEPS} steps, relative; {losses[0]:.3f} to {losses[-1]:.3f} nats"


def check_curve(torch, probe, report, name, base, rows, room):
    """Fifty steps in the same order from the same adapter; the probe holds the same weights as `base`."""
    folder = room / f"start-{name}"
    batches, losses, base = reference_curve(torch, base, rows, folder)
    worst, note = farthest(probe, rows, batches, losses, folder, room)
    report.at_most(f"loss curve: {name}", worst, LOSS_LIMIT, note)
    return base
