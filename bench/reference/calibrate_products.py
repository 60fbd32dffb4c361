"""Measures the ladder on examples/product-descriptions with PyTorch (development only).

Prints one JSON object per arm: chrF2 and the share of voice rules kept, on dev and on test, each with
a bootstrap interval over rows.  Usage: calibrate_products.py CSV [--seed 1] [--lrs 1e-3] [--arms ...]
"""

import argparse
import json
import pathlib
import re
import time

import numpy
from sacrebleu.metrics import CHRF

from model import load_model, load_tokenizer, prompt_text
from products_arms import answer, similar_shots, train_lora
from products_data import clean_rows, split

EXAMPLE = pathlib.Path(__file__).parents[2] / "examples/product-descriptions"


def main():
    args = arguments()
    task = json.loads((EXAMPLE / "task.json").read_text())
    tokenizer = load_tokenizer()
    rows, funnel = clean_rows(args.csv, task, tokenizer)
    print(json.dumps({"funnel": funnel}), flush=True)
    train, dev, test = split(rows, args.seed)
    model = load_model(args.threads)
    arms = {
        "zero-shot": lambda row: (),
        "icl-fixed-3": lambda row: train[:3],
        "icl-similar-3": lambda row: similar_shots(train, row),
        "icl-similar-6": lambda row: similar_shots(train, row, 6),
    }
    for name in args.arms:
        report(name, task, model, tokenizer, dev, test, arms[name], args.out)
    for lr in args.lrs:
        tuned, losses, seconds = train_lora(model, tokenizer, task, train, lr, args.seed)
        marks = [round(value, 3) for value in losses[:: max(1, len(losses) // 12)] + losses[-1:]]
        print(json.dumps({"lr": lr, "trainSeconds": round(seconds), "loss": marks}), flush=True)
        report(f"peft-{lr:g}", task, tuned, tokenizer, dev, test, arms["zero-shot"], args.out)
        model = tuned.unload()


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("csv")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--arms", nargs="*", default=["zero-shot", "icl-fixed-3", "icl-similar-3"])
    parser.add_argument("--lrs", nargs="*", type=float, default=[1e-3])
    parser.add_argument("--out", help="folder for answers as JSON")
    return parser.parse_args()


def report(name, task, model, tokenizer, dev, test, shots, folder):
    started = time.time()
    rows = dev + test
    prompts = [prompt_text(task, row, shots(row)) for row in rows]
    answers = answer(model, tokenizer, prompts, task["maxAnswerTokens"])
    wanted = [row["description"] for row in rows]
    parts = {"dev": slice(0, len(dev)), "test": slice(len(dev), None)}
    scores = {part: score(answers[where], wanted[where]) for part, where in parts.items()}
    seconds = round(time.time() - started)
    print(json.dumps({"arm": name, **scores, "seconds": seconds}), flush=True)
    if folder:
        made = [{"input": r["input"], "wanted": w, "answer": a} for r, w, a in zip(rows, wanted, answers)]
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        (pathlib.Path(folder) / f"{name}.json").write_text(json.dumps(made, indent=1))


def score(answers, wanted):
    metric = CHRF()
    value = metric.corpus_score(answers, [wanted]).score
    draw = numpy.random.default_rng(0)
    spread = []
    for _ in range(300):
        picked = draw.integers(0, len(wanted), len(wanted))
        spread.append(metric.corpus_score([answers[i] for i in picked], [[wanted[i] for i in picked]]).score)
    low, high = numpy.percentile(spread, [2.5, 97.5])
    return {"chrf": round(value, 1), "low": round(low, 1), "high": round(high, 1), "voice": voice(answers)}


def voice(answers):
    rules = json.loads((EXAMPLE / "voice-rules.json").read_text())
    flags = lambda rule: re.IGNORECASE if "i" in rule["flags"] else 0
    kept = [[bool(re.search(r["pattern"], text, flags(r))) for r in rules] for text in answers]
    return {"all": round(float(numpy.mean([all(row) for row in kept])), 2), "mean": round(float(numpy.mean(kept)), 2)}


if __name__ == "__main__":
    main()
