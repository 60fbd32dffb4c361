"""Loads SmolLM2-135M-Instruct from its GGUF file in fp32 and builds prompts as Escada does."""

import os
import pathlib
import re

import torch
from tokenizers import Regex, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

END_OF_TURN = "<|im_end|>"


def gguf_path():
    """The model file: ESCADA_REFERENCE_GGUF, or the first one in the user cache."""
    named = os.environ.get("ESCADA_REFERENCE_GGUF")
    if named:
        return pathlib.Path(named)
    cache = pathlib.Path.home() / ".cache/escada/models/smollm2-135m-instruct"
    found = sorted(cache.glob("*.gguf"))
    if not found:
        raise SystemExit(f"no .gguf file under {cache}; set ESCADA_REFERENCE_GGUF")
    return found[0]


def load_tokenizer():
    """The tokenizer with the digit split that the GGUF loader of transformers leaves out."""
    path = gguf_path()
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    return tokenizer


def load_model(threads=2):
    """The decoded model in fp32 on the CPU."""
    torch.set_num_threads(threads)
    path = gguf_path()
    return AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)


def prompt_text(task, row, shots=()):
    """The chat prompt, written out: system line, shots as turns, the question, an open answer."""
    turns = [f"<|im_start|>system\n{task['system']}{END_OF_TURN}\n"]
    for shot in shots:
        turns.append(user_turn(task, shot))
        turns.append(f"<|im_start|>assistant\n{shot['description']}{END_OF_TURN}\n")
    turns.append(user_turn(task, row))
    turns.append("<|im_start|>assistant\n")
    return "".join(turns)


def user_turn(task, row):
    asked = f"{task['instruction']}\n{row['input']}"
    return f"<|im_start|>user\n{asked}{END_OF_TURN}\n"


def normalise(text):
    """One space between words, none outside: what curation does to every cell."""
    return re.sub(r"\s+", " ", text).strip()
