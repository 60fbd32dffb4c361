"""Writes a Llama with random weights for `npm run bench:engine -- --shape`: make_llama.py WIDTH TOKENIZER_FOLDER OUT.

4 layers, heads of 64 channels, four query heads to a key head, an MLP of 8/3 of the width, SmolLM2's vocabulary with tied
embeddings, f32 safetensors.  The tokenizer is copied only because a model folder must have one: token ids come from the
task.  Development only.
"""

import pathlib
import shutil
import sys

import torch
from transformers import LlamaConfig, LlamaForCausalLM

width, tokenizer, out = int(sys.argv[1]), pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
torch.manual_seed(1)
config = LlamaConfig(
    hidden_size=width,
    intermediate_size=-(-width * 8 // 3 // 256) * 256,
    num_hidden_layers=4,
    num_attention_heads=width // 64,
    num_key_value_heads=width // 256,
    vocab_size=49152,
    max_position_embeddings=2048,
    tie_word_embeddings=True,
)
LlamaForCausalLM(config).to(torch.float32).save_pretrained(out)
for name in ("tokenizer.json", "tokenizer_config.json"):
    shutil.copy(tokenizer / name, out / name)
