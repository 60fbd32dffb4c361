"""Reads the product file, curates it the plain way and splits it for the calibration."""

import csv
import random

from model import END_OF_TURN, normalise, prompt_text


def clean_rows(path, task, tokenizer):
    """Usable rows and a funnel {reason: rows left out}."""
    funnel = {"raw": 0, "empty": 0, "duplicate": 0, "too long": 0}
    kept, seen = [], set()
    for raw in csv.DictReader(open(path, newline="", encoding="utf-8")):
        funnel["raw"] += 1
        row = {name: normalise(cell) for name, cell in raw.items()}
        key = tuple(row[name].lower() for name in ("input", "description"))
        prompt_tokens = len(tokenizer(prompt_text(task, row))["input_ids"])
        answer_tokens = len(tokenizer(row["description"] + END_OF_TURN)["input_ids"])
        if not all(key):
            funnel["empty"] += 1
        elif key in seen:
            funnel["duplicate"] += 1
        elif prompt_tokens > task["maxPromptTokens"] or answer_tokens > task["maxAnswerTokens"]:
            funnel["too long"] += 1
        else:
            seen.add(key)
            kept.append({**row, "promptTokens": prompt_tokens, "answerTokens": answer_tokens})
    funnel["usable"] = len(kept)
    return kept, funnel


def split(rows, seed, train=240, dev=32, test=48):
    """Random split into train, dev and test rows."""
    order = list(rows)
    random.Random(seed).shuffle(order)
    return order[:train], order[train : train + dev], order[train + dev : train + dev + test]
