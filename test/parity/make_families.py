"""Writes test/fixtures/tiny-llama3, tiny-mistral and tiny-qwen2: checkpoint, tokenizer, LoRA adapter, golden files.

    python test/parity/make_families.py

As make_tiny_llama.py, float32 only. The sequences of 33 and 61 tokens cross the window of 16 and the original context of
32 positions.
"""

from common import FIXTURES, calm_torch, write_json
from make_tiny_llama import BATCHES, ROWS, TRAIN, encode_rows, forward_golden, greedy, sequences, train_golden
from tiny_llama import FAMILIES, load_adapted, load_base, make_adapter, make_random_checkpoint


def main():
    torch = calm_torch()
    torch.manual_seed(0)
    from transformers import AutoTokenizer

    for name, shape in FAMILIES.items():
        folder = FIXTURES / name
        make_random_checkpoint(torch, folder, shape, layers=2)
        make_adapter(torch, folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        rows = encode_rows(tokenizer)
        write_json(folder / "golden.json", {"rows": rows, "batches": BATCHES, "train": TRAIN})
        base = load_base(torch, folder)
        golden = {"base": [forward_golden(torch, base, ids) for ids in sequences()]}
        golden["greedyBase"] = [greedy(torch, base, tokenizer, q) for q, _ in ROWS[:2]]
        adapted = load_adapted(torch, folder, base)
        golden["adapted"] = [forward_golden(torch, adapted, ids) for ids in sequences()]
        golden["greedyAdapted"] = [greedy(torch, adapted, tokenizer, q) for q, _ in ROWS[:2]]
        golden["train"] = train_golden(torch, adapted, rows)
        write_json(folder / "golden-f32.json", golden)


if __name__ == "__main__":
    main()
