"""Writes test/fixtures/gguf: tiny models as GGUF files, written by gguf-py, and what their tokenizers make of texts.

    python test/parity/make_gguf_families.py

Weights are the fixtures' own, in bfloat16. tiny-llama gets a SentencePiece vocabulary of its own size. `qwen2-tokenizer.json`:
texts and their ids by transformers' Qwen2 tokenizer over the same vocabulary; those of the others are llama.cpp's
(`tools/reference/gguf-tokenizers.ts`): where a text starts with blanks, transformers leaves out the blank in front of it.
"""

import json

import gguf
import numpy as np

from common import FIXTURES, calm_torch, write_json

OUT = FIXTURES / "gguf"
#: Architecture in GGUF, name of the pre-tokenizer.
MODELS = {
    "tiny-mistral": ("llama", "smollm"), "tiny-qwen2": ("qwen2", "qwen2"), "tiny-llama3": ("llama", "llama-bpe"),
    "tiny-llama": ("llama", "sentencepiece"),
}
TEXTS = [
    "Hello world", "  two  blanks, then\n\n\nlines\r\n  \tx", "It's 2026: 3.14 isn't 31415!", "don't we'll I'M they'Ve",
    "1234567 tokens, 10:05", "<s> is no control token here, nor is <unk> or <0x0A>", "\tthe  the    thethe",
    "price: $12.50 (each)...\n- a\n- b", "e\u0301te\u0301 \u00fc\u00bd \u4f60\u597d \U0001f600", "a_b\u00a0c", " ",
]
#: Llama 2's form, without its system part.
CHAT = ("{{ bos_token }}{% for message in messages %}{% if message['role'] == 'assistant' %}{{ ' ' + message['content'] + "
        "' ' + eos_token }}{% else %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% endif %}{% endfor %}")


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
    head_size = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    writer.add_rope_dimension_count(head_size)
    writer.add_key_length(head_size)
    writer.add_value_length(head_size)
    writer.add_vocab_size(config["vocab_size"])
    if config.get("sliding_window") is not None:
        writer.add_sliding_window(config["sliding_window"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)


def sentencepiece_vocabulary(size):
    """(text, score, kind) of each token: three names, 256 bytes, pieces in the order of their merges, then characters."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    lines = (FIXTURES.parent.parent / "examples/product-descriptions/data/products.csv").read_text().splitlines()
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Metaspace()
    names = [("<unk>", gguf.TokenType.UNKNOWN), ("<s>", gguf.TokenType.CONTROL), ("</s>", gguf.TokenType.CONTROL)]
    # Runs of blanks: pieces with more than one way to be made.
    blanks = ["\u2581\u2581", "\u2581\u2581\u2581\u2581"]
    room = size - len(names) - 256 - len(blanks)
    letters = sorted({letter for line in lines for letter in line.replace(" ", "\u2581") if letter.isascii()} | {"\u2581"})
    letters = [letter for letter in letters if letter.islower() or letter in "\u2581.,TIS"]
    trainer = trainers.BpeTrainer(vocab_size=room, initial_alphabet=letters, limit_alphabet=len(letters), show_progress=False)
    learner.train_from_iterator([line.lower() for line in lines], trainer)
    learnt = [text for text, _ in sorted(learner.get_vocab().items(), key=lambda item: item[1])]
    pieces = [text for text in learnt if len(text) > 1] + blanks + [text for text in learnt if len(text) == 1]
    tokens = [(text, 0.0, kind) for text, kind in names]
    tokens += [(f"<0x{byte:02X}>", 0.0, gguf.TokenType.BYTE) for byte in range(256)]
    tokens += [(text, -float(rank), gguf.TokenType.NORMAL) for rank, text in enumerate(pieces)]
    assert len(tokens) == size, len(tokens)
    return tokens


def add_sentencepiece(writer, size):
    tokens = sentencepiece_vocabulary(size)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([text for text, _, _ in tokens])
    writer.add_token_scores([score for _, score, _ in tokens])
    writer.add_token_types([kind for _, _, kind in tokens])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(True)
    writer.add_chat_template(CHAT)


def add_rope_table(writer, config):
    """What llama.cpp divides the rotary frequencies by, as its converter computes it from Llama 3's numbers."""
    rope = config["rope_parameters"]
    if rope["rope_type"] != "llama3":
        return
    powers = np.arange(0, config["head_dim"], 2, dtype=np.float32) / config["head_dim"]
    waves = 2 * np.pi * rope["rope_theta"] ** powers
    turns = rope["original_max_position_embeddings"] / waves
    smooth = (turns - rope["low_freq_factor"]) / (rope["high_freq_factor"] - rope["low_freq_factor"])
    divisors = 1 / ((1 - smooth) / rope["factor"] + smooth)
    divisors = np.where(turns < rope["low_freq_factor"], rope["factor"], divisors)
    divisors = np.where(turns > rope["high_freq_factor"], 1.0, divisors)
    writer.add_tensor("rope_freqs.weight", divisors.astype(np.float32))


def add_tokenizer(writer, folder, words, size):
    if words == "sentencepiece":
        add_sentencepiece(writer, size)
        return
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
        add_rope_table(writer, config)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    model = json.loads((FIXTURES / "tiny-qwen2" / "tokenizer.json").read_text())["model"]
    tokenizer = Qwen2Tokenizer(vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]], unk_token=None,
                               eos_token="<|im_end|>", pad_token="<|endoftext|>",
                               additional_special_tokens=["<|im_start|>"])
    cases = [{"text": text, "ids": tokenizer.encode(text, add_special_tokens=False)} for text in TEXTS]
    write_json(OUT / "qwen2-tokenizer.json", {"cases": cases})


if __name__ == "__main__":
    main()
