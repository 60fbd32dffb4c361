"""Writes test/fixtures/smollm2-logits: logits of SmolLM2 at four positions of twenty prompts, for a seeded part of the
vocabulary, so that `npm test` checks them without Python.

    python test/parity/make_smollm2_logits.py [path/to/SmolLM2-135M-Instruct.Q4_1.gguf]
"""

import numpy as np
from safetensors.numpy import save_file

from check_logits import reference_logits, smollm2_sequences
from common import FIXTURES, calm_torch, f32_list, write_json
from make_smollm2_goldens import SHA256, find_gguf, load_tokenizer

FOLDER = FIXTURES / "smollm2-logits"
TOKENS = 1024


def main():
    path = find_gguf()
    torch = calm_torch()
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(
        str(path.parent), gguf_file=path.name, dtype=torch.float32, attn_implementation="eager").eval()
    sequences, positions = smollm2_sequences(load_tokenizer(path))
    logits = reference_logits(torch, model, sequences, positions)
    sums = torch.logsumexp(torch.from_numpy(logits).double(), -1)
    random = np.random.default_rng(42)
    tokens = np.sort(random.choice(logits.shape[1], TOKENS, replace=False))
    write_json(FOLDER / "prompts.json", {
        "ggufSha256": SHA256, "ids": sequences, "positions": positions, "tokens": [int(t) for t in tokens],
        "logSumExp": f32_list(sums), "largest": f32_list(np.abs(logits).max(axis=1)),
    })
    save_file({"logits": np.ascontiguousarray(logits[:, tokens])}, FOLDER / "logits.safetensors", {"format": "pt"})
    size = sum(file.stat().st_size for file in FOLDER.iterdir())
    print(f"smollm2-logits: {size} bytes in all")
    if size > 400_000:
        raise SystemExit("the fixture has more than 400 kB")


if __name__ == "__main__":
    main()
