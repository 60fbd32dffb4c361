"""The arms of the calibration: greedy answers, demonstrations, LoRA training."""

import math
import re
import time
from collections import Counter

import torch
from peft import LoraConfig, get_peft_model

from model import END_OF_TURN, prompt_text


@torch.no_grad()
def answer(model, tokenizer, prompts, max_new_tokens, batch=16):
    """Greedy answers in the order of the prompts, cut at the end of the turn."""
    model.eval()
    tokenizer.padding_side = "left"
    tokenizer.pad_token = END_OF_TURN
    out = []
    for start in range(0, len(prompts), batch):
        inputs = tokenizer(prompts[start : start + batch], return_tensors="pt", padding=True)
        made = model.generate(
            **inputs,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            eos_token_id=tokenizer.convert_tokens_to_ids(END_OF_TURN),
            pad_token_id=tokenizer.pad_token_id,
        )
        new = made[:, inputs["input_ids"].shape[1] :]
        out += [text.strip() for text in tokenizer.batch_decode(new, skip_special_tokens=True)]
    return out


def similar_shots(train, row, count=3):
    """The rows of train nearest by BM25 (k1 1.2, b 0.75) over words, nearest last."""
    documents = [Counter(words(other["input"])) for other in train]
    mean_length = sum(sum(doc.values()) for doc in documents) / len(documents)
    frequency = Counter(word for doc in documents for word in doc)

    def score(doc):
        length = 0.25 + 0.75 * sum(doc.values()) / mean_length
        return sum(
            math.log(1 + (len(train) - frequency[word] + 0.5) / (frequency[word] + 0.5))
            * doc[word]
            * 2.2
            / (doc[word] + 1.2 * length)
            for word in set(words(row["input"]))
            if word in doc
        )

    order = sorted(range(len(train)), key=lambda index: (-score(documents[index]), index))
    return [train[index] for index in reversed(order[:count])]


def words(text):
    return re.findall(r"[a-z0-9]+", text.lower())


def train_lora(model, tokenizer, task, rows, lr, seed, batch=4, rank=16, alpha=32, warm_up=5):
    """One epoch of LoRA on all linear layers, loss on answers only; returns (model, losses, seconds)."""
    torch.manual_seed(seed)
    tuned = get_peft_model(
        model, LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules="all-linear")
    )
    tuned.train()
    steps = math.ceil(len(rows) / batch)
    optimiser = torch.optim.AdamW(
        [p for p in tuned.parameters() if p.requires_grad], lr=lr, weight_decay=0.0
    )
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed)).tolist()
    losses, started = [], time.time()
    for step in range(steps):
        scale = min((step + 1) / warm_up, (steps - step) / max(1, steps - warm_up))
        optimiser.param_groups[0]["lr"] = lr * min(1.0, scale)
        picked = [rows[index] for index in order[step * batch : (step + 1) * batch]]
        loss = tuned(**collate(tokenizer, task, picked)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tuned.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    return tuned, losses, time.time() - started


def collate(tokenizer, task, rows):
    pairs = []
    for row in rows:
        prompt = tokenizer(prompt_text(task, row))["input_ids"]
        target = tokenizer(row["description"] + END_OF_TURN)["input_ids"]
        pairs.append((prompt + target, [-100] * len(prompt) + target))
    length = max(len(ids) for ids, _ in pairs)
    pad = lambda values, filler: values + [filler] * (length - len(values))
    return {
        "input_ids": torch.tensor([pad(ids, 2) for ids, _ in pairs]),
        "labels": torch.tensor([pad(labels, -100) for _, labels in pairs]),
        "attention_mask": torch.tensor([pad([1] * len(ids), 0) for ids, _ in pairs]),
    }
