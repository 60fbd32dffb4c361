"""Writes test/fixtures/tiny-llama: checkpoint, tokenizer, LoRA adapter and golden.json.

    python test/parity/make_tiny_llama.py

Everything is computed by transformers and PEFT in float32 on the CPU; NF4 by nf4_reference.py, whose codes are
compared with bitsandbytes on the way. All positions and ids count from zero.
"""

import hashlib
import sys

import numpy as np

import nf4_reference as nf4
from common import FIXTURES, calm_torch, f32, f32_list, write_json
from tiny_llama import load_adapted, load_base, make_adapter, make_checkpoint, make_tokenizer

FOLDER = FIXTURES / "tiny-llama"
LENGTHS = [1, 7, 33, 61]
ROWS = [
    ("Describe a wool sock.", "Soft, warm and dry."),
    ("What is the capacity of the pot?", "It holds 12 cups."),
    ("Describe a kettle that holds 1.7 litres in one short sentence.", "Boils quickly, pours cleanly."),
    ("Size?", "42"),
    ("Write about the handle.", "The handle stays cool while you pour; it lasts for years."),
    ("Blue enamel?", "Yes, the coffee pot."),
]
BATCHES = [[0, 1], [2, 3], [4, 5], [1, 2], [3, 4], [5, 0], [2, 4], [1, 5], [0, 3], [4, 1]]
TRAIN = {
    "optimizer": "AdamW: decoupled decay before the step, both bias corrections, epsilon outside the root",
    "learningRate": 1e-2, "weightDecay": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8,
    "maxGradNorm": 1.0, "clip": "factor = min(1, max / (norm + 1e-6)), norm over all adapter tensors",
    "schedule": "linear", "warmupSteps": 2, "totalSteps": 10,
    "lossRule": "sum over labelled tokens of the batch / number of labelled tokens",
}


def sha(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def sequences():
    random = np.random.default_rng(21)
    return [[int(t) for t in random.integers(3, 384, n)] for n in LENGTHS]


def forward_golden(torch, model, ids):
    """Full last-position logits for one sequence, a spread of positions and tokens for the others."""
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    lse = torch.logsumexp(logits.double(), dim=-1)
    positions = sorted({0, len(ids) // 2, len(ids) - 1})
    tokens = list(range(0, 384, 23))
    return {
        "ids": ids,
        "logSumExp": f32_list(lse),
        "argmax": [int(t) for t in logits.argmax(-1)],
        "positions": positions,
        "tokens": tokens,
        "logits": [f32_list(logits[p][tokens]) for p in positions],
        "lastLogits": f32_list(logits[-1]) if len(ids) == 33 else None,
    }


def encode_rows(tokenizer):
    """Prompt by the chat template, then answer + end of turn; label = own id on the answer part, else -100."""
    encoded = []
    for question, answer in ROWS:
        messages = [{"role": "user", "content": question}]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        prompt = tokenizer.encode(text, add_special_tokens=False)
        ids = prompt + tokenizer.encode(answer, add_special_tokens=False) + [2]
        encoded.append({"messages": messages, "answer": answer, "text": text, "ids": ids, "promptTokens": len(prompt)})
    return encoded


def batch_loss(torch, model, rows):
    """Answer-only cross entropy; rows go through the model one by one, so padding plays no part."""
    total, count = 0.0, 0
    for row in rows:
        ids, start = torch.tensor([row["ids"]]), row["promptTokens"]
        logits = model(ids).logits[0, start - 1 : -1]
        total = total + torch.nn.functional.cross_entropy(logits, ids[0, start:], reduction="sum")
        count += len(row["ids"]) - start
    return total / count


def adapter_tensors(model):
    return sorted((n.replace(".default", ""), p) for n, p in model.named_parameters() if p.requires_grad)


def sample(values, random, count=8):
    flat = np.asarray(values, dtype=np.float32).reshape(-1)
    at = sorted(int(i) for i in random.choice(flat.size, count, replace=False))
    norm = float(np.sqrt((flat.astype(np.float64) ** 2).sum()))
    return {"norm": f32(norm), "at": at, "values": f32_list(flat[at])}


def train_golden(torch, model, rows):
    """Gradients of the first batch, then ten optimizer steps."""
    from transformers import get_scheduler

    random = np.random.default_rng(31)
    named = adapter_tensors(model)
    parameters = [p for _, p in named]
    loss = batch_loss(torch, model, [rows[i] for i in BATCHES[0]])
    loss.backward()
    gradients = {name: sample(p.grad, random) for name, p in named}
    first = f32(loss.item())
    optimizer = torch.optim.AdamW(parameters, lr=TRAIN["learningRate"], weight_decay=0.01, foreach=False)
    schedule = get_scheduler("linear", optimizer, num_warmup_steps=2, num_training_steps=10)
    curve = []
    for batch in BATCHES:
        optimizer.zero_grad()
        loss = batch_loss(torch, model, [rows[i] for i in batch])
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, TRAIN["maxGradNorm"])
        rate = schedule.get_last_lr()[0]
        optimizer.step()
        schedule.step()
        curve.append({"loss": f32(loss.item()), "gradientNorm": f32(norm.item()), "learningRate": rate})
    final = {name: sample(p.detach(), random) for name, p in named}
    return {"loss": first, "gradients": gradients, "curve": curve, "final": final}


def quantize(torch, model, double):
    """Replaces every linear's weight by its NF4 decoding; returns digests of each part."""
    import bitsandbytes.functional as bnb

    report = {}
    for name, module in model.named_modules():
        if not isinstance(module, torch.nn.Linear) or name.endswith("lm_head"):
            continue
        weights = module.weight.detach().numpy()
        codes, absmax = nf4.encode(weights)
        theirs, state = bnb.quantize_4bit(module.weight.detach().bfloat16(), quant_type="nf4", blocksize=64)
        if nf4.pack(codes).tobytes() != theirs.numpy().tobytes() or not (state.absmax.numpy() == absmax).all():
            raise SystemExit(f"{name}: NF4 codes differ from bitsandbytes")
        entry = {"packedSha256": sha(nf4.pack(codes)), "absmaxSha256": sha(absmax)}
        if double:
            nested, second, offset = nf4.nest(absmax)
            absmax = nf4.unnest(nested, second, offset)
            entry |= {"nestedCodesSha256": sha(nested), "nestedAbsmax": f32_list(second), "offset": f32(offset)}
        decoded = nf4.decode(codes, absmax)
        entry["decodedSha256"] = sha(decoded)
        with torch.no_grad():
            module.weight.copy_(torch.from_numpy(decoded.reshape(weights.shape)))
        report[name] = entry
    return report


def greedy(torch, model, tokenizer, question, count=24):
    """Greedy ids with the gap between the two best logits of each step."""
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True)
    prompt = tokenizer.encode(text, add_special_tokens=False)
    ids, gaps = list(prompt), []
    with torch.no_grad():
        while len(gaps) < count:
            best = model(torch.tensor([ids])).logits[0, -1].topk(2)
            gaps.append(f32((best.values[0] - best.values[1]).item()))
            ids.append(int(best.indices[0]))
            if ids[-1] == 2:
                break
    new = ids[len(prompt):]
    return {"question": question, "promptIds": prompt, "ids": new, "gaps": gaps,
            "text": tokenizer.decode(new, skip_special_tokens=True)}


def variant(torch, tokenizer, rows, mode):
    """Every golden of one weight format: f32, nf4 (plain absmax) or nf4-double."""
    base = load_base(torch, FOLDER)
    parts = None if mode == "f32" else quantize(torch, base, mode == "nf4-double")
    out = {"nf4": parts, "base": [forward_golden(torch, base, ids) for ids in sequences()]}
    out["greedyBase"] = [greedy(torch, base, tokenizer, q) for q, _ in ROWS[:2]]
    adapted = load_adapted(torch, FOLDER, base)
    out["adapted"] = [forward_golden(torch, adapted, ids) for ids in sequences()]
    out["greedyAdapted"] = [greedy(torch, adapted, tokenizer, q) for q, _ in ROWS[:2]]
    out["train"] = train_golden(torch, adapted, rows)
    return out


def main():
    torch = calm_torch()
    torch.manual_seed(0)
    FOLDER.mkdir(parents=True, exist_ok=True)
    if "--goldens-only" not in sys.argv:
        make_tokenizer(FOLDER)
        make_checkpoint(torch, FOLDER)
        make_adapter(torch, FOLDER)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    rows = encode_rows(tokenizer)
    shared = {"rows": rows, "batches": BATCHES, "train": TRAIN, "adapter": {"r": 4, "alpha": 8, "scale": 2.0}}
    write_json(FOLDER / "golden.json", shared)
    for mode in ["f32", "nf4", "nf4-double"]:
        write_json(FOLDER / f"golden-{mode}.json", variant(torch, tokenizer, rows, mode))


if __name__ == "__main__":
    main()
