"""Writes test/fixtures/gguf: tiny-mistral and tiny-qwen2 as GGUF files, written by gguf-py, and what Qwen2 makes of texts.

    python test/parity/make_gguf_families.py

Weights are the fixtures' own, in bfloat16. `qwen2-words.json`: texts and their ids by transformers' Qwen2 tokenizer over the
same vocabulary.
"""

import json

import gguf
import numpy as np

from common import FIXTURES, calm_torch, write_json

OUT = FIXTURES / "gguf"
#: Architecture in GGUF, name of the pre-tokenizer.
MODELS = {"tiny-mistral": ("llama", "smollm"), "tiny-qwen2": ("qwen2", "qwen2")}
TEXTS = [
    "Hello world", "  two  blanks, then\n\n\nlines\r\n  \tx", "It's 2026: 3.14 isn't 31415!", "don't we'll I'M they'Ve",
    "price: $12.50 (each)...\n- a\n- b", "e\u0301te\u0301 \u00fc\u00bd \u4f60\u597d \U0001f600", "a_b\u00a0c", " ",
]


def interleaved(values, heads):
    """Rows of queries and keys as llama.cpp's llama wants them: halves of a head side by side."""
    rows = values.shape[0]
    return values.reshape(heads, 2, rows // heads // 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def add_shape(writer, config):
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_vocab_size(config["vocab_size"])
    if config["sliding_window"] is not None:
        writer.add_sliding_window(config["sliding_window"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)


def add_tokenizer(writer, folder, words, size):
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    names = json.loads((folder / "tokenizer_config.json").read_text())
    vocabulary = {id: token for token, id in tokenizer["model"]["vocab"].items()}
    control = {token["id"] for token in tokenizer["added_tokens"]}
    kind = [gguf.TokenType.CONTROL if i in control else gguf.TokenType.NORMAL if i in vocabulary
            else gguf.TokenType.UNUSED for i in range(size)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(words)
    writer.add_token_list([vocabulary.get(i, f"[PAD{i}]") for i in range(size)])
    writer.add_token_types(kind)
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    by_text = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    writer.add_bos_token_id(by_text[names["bos_token"]])
    writer.add_eos_token_id(by_text[names["eos_token"]])
    writer.add_add_bos_token(False)
    if "chat_template" in names:
        writer.add_chat_template(names["chat_template"])


def add_tensors(torch, writer, folder, architecture, config):
    from safetensors.torch import load_file

    arch = {"llama": gguf.MODEL_ARCH.LLAMA, "qwen2": gguf.MODEL_ARCH.QWEN2}[architecture]
    names = gguf.get_tensor_name_map(arch, config["num_hidden_layers"])
    for name, tensor in load_file(folder / "model.safetensors").items():
        values = tensor.to(torch.float32).numpy()
        heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}.get(name.split(".")[-2])
        if heads is not None and architecture == "llama":
            values = interleaved(values, heads)
        values, to = np.ascontiguousarray(values), names.get_name(name, try_suffixes=(".weight", ".bias"))
        if values.ndim == 1:
            writer.add_tensor(to, values)
        else:
            kind = gguf.GGMLQuantizationType.BF16
            writer.add_tensor(to, gguf.quants.quantize(values, kind), raw_dtype=kind)


def main():
    torch = calm_torch()
    from transformers import Qwen2Tokenizer

    OUT.mkdir(parents=True, exist_ok=True)
    for name, (architecture, words) in MODELS.items():
        folder = FIXTURES / name
        config = json.loads((folder / "config.json").read_text())
        writer = gguf.GGUFWriter(OUT / f"{name}.gguf", architecture)
        writer.add_name(name)
        add_shape(writer, config)
        add_tokenizer(writer, folder, words, config["vocab_size"])
        add_tensors(torch, writer, folder, architecture, config)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    model = json.loads((FIXTURES / "tiny-qwen2" / "tokenizer.json").read_text())["model"]
    tokenizer = Qwen2Tokenizer(vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]], unk_token=None,
                               eos_token="<|im_end|>", pad_token="<|endoftext|>",
                               additional_special_tokens=["<|im_start|>"])
    cases = [{"text": text, "ids": tokenizer.encode(text, add_special_tokens=False)} for text in TEXTS]
    write_json(OUT / "qwen2-words.json", {"cases": cases})


if __name__ == "__main__":
    main()
