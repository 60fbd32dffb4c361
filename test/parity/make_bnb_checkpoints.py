"""Writes test/fixtures/bnb: tiny checkpoints in 4 bits as transformers and bitsandbytes save them, and their logits.

    python test/parity/make_bnb_checkpoints.py

Tokenizer files are those of tiny-llama. `golden.json`: per checkpoint the logits of its last position in float32, as
transformers computes them after reading the saved folder, and the SHA-256 of each decoded 4-bit weight.
"""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np

from common import FIXTURES, calm_torch, f32_list, write_json
from tiny_llama import make_random_checkpoint

FOLDER = FIXTURES / "bnb"
SHAPE = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
         "rope_theta": 10000.0}
#: Options of BitsAndBytesConfig and of the model.
CHECKPOINTS = {
    "nested": {"bnb_4bit_use_double_quant": True},
    "plain": {},
    "storage-bf16": {"bnb_4bit_use_double_quant": True, "bnb_4bit_quant_storage": "bfloat16"},
    "storage-f16": {"bnb_4bit_quant_storage": "float16", "dtype": "float16"},
    "storage-f32": {"bnb_4bit_use_double_quant": True, "bnb_4bit_quant_storage": "float32", "dtype": "float32"},
    "skipped": {"bnb_4bit_use_double_quant": True, "llm_int8_skip_modules": ["down_proj", "model.layers.0.self_attn.k_proj"],
                "tied": False},
    "sharded": {"bnb_4bit_use_double_quant": True, "max_shard_size": "40KB", "tied": False},
    "fp4": {"bnb_4bit_quant_type": "fp4"},
}
SEQUENCE = [5, 80, 31, 200, 7, 7, 90, 301, 12, 44, 66, 250]


def exact(torch, model):
    """Computes in float32 with unrounded weights: training mode, because evaluation repacks weights into bfloat16."""
    import bitsandbytes as bnb

    model.train()
    for module in model.modules():
        if isinstance(module, bnb.nn.Linear4bit):
            module.compute_dtype, module.compute_type_is_set = torch.float32, True
    for parameter in model.parameters():
        if not isinstance(parameter, bnb.nn.Params4bit):
            parameter.data = parameter.data.float()
    return model


def quantized(torch, base, folder, options):
    """Quantizes the checkpoint `base` and saves it to `folder`."""
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    options = {"bnb_4bit_quant_type": "nf4"} | options
    dtype = options.pop("dtype", "bfloat16")
    save = {key: options.pop(key) for key in ["max_shard_size"] if key in options}
    model = AutoModelForCausalLM.from_pretrained(
        base, quantization_config=BitsAndBytesConfig(load_in_4bit=True, **options), dtype=getattr(torch, dtype),
        device_map="cpu")
    model.save_pretrained(folder, **save)
    (folder / "generation_config.json").unlink(missing_ok=True)


def read(torch, folder):
    """A saved checkpoint, computing in float32."""
    from transformers import AutoModelForCausalLM

    return exact(torch, AutoModelForCausalLM.from_pretrained(folder, device_map="cpu", attn_implementation="eager"))


def decoded(torch, model):
    """Name to float32 values of every 4-bit weight."""
    import bitsandbytes as bnb

    weights = {}
    for name, module in model.named_modules():
        if isinstance(module, bnb.nn.Linear4bit):
            state = module.weight.quant_state
            state.dtype = torch.float32
            weights[f"{name}.weight"] = bnb.functional.dequantize_4bit(module.weight.data, state).numpy()
    return weights


def golden(torch, folder):
    model = read(torch, folder)
    with torch.no_grad():
        logits = model(torch.tensor([SEQUENCE])).logits[0, -1]
    digests = {name: hashlib.sha256(np.ascontiguousarray(w).tobytes()).hexdigest() for name, w in decoded(torch, model).items()}
    return {"logits": f32_list(logits), "decodedSha256": digests}


def main():
    torch = calm_torch()
    torch.manual_seed(0)
    shutil.rmtree(FOLDER, ignore_errors=True)
    out = {"ids": SEQUENCE}
    with tempfile.TemporaryDirectory() as room:
        for name, options in CHECKPOINTS.items():
            options = dict(options)
            base = Path(room) / name
            make_random_checkpoint(torch, base, SHAPE | {"tie_word_embeddings": options.pop("tied", True)}, layers=1)
            quantized(torch, base, FOLDER / name, options)
            if name != "fp4":
                out[name] = golden(torch, FOLDER / name)
    write_json(FOLDER / "golden.json", out)
    print(json.dumps({str(p.relative_to(FOLDER)): p.stat().st_size for p in sorted(FOLDER.rglob("*")) if p.is_file()}, indent=1))


if __name__ == "__main__":
    main()
