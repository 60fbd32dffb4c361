"""Writes the embeddings that `npm test` checks without Python: golden-embed.json of every tiny model (with and without its
adapter) and smollm2/embeddings.json.

    python test/parity/make_embedding_goldens.py [path/to/SmolLM2-135M-Instruct.Q4_1.gguf]
"""

from check_embeddings import embedding_texts, plain_ids, pooled
from common import FIXTURES, calm_torch, f32_list, write_json
from make_smollm2_goldens import SHA256, find_gguf, load_tokenizer
from tiny_llama import FAMILIES, load_adapted, load_base

SMOLLM2_TEXTS = 6


def tiny_goldens(torch, folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = [{"text": text, "ids": plain_ids(tokenizer, text)} for text in embedding_texts()]
    base = load_base(torch, folder)
    for text in texts:
        text["base"] = f32_list(pooled(torch, base.model, text["ids"]))
    adapted = load_adapted(torch, folder, base).base_model.model.model
    for text in texts:
        text["adapted"] = f32_list(pooled(torch, adapted, text["ids"]))
    write_json(folder / "golden-embed.json", {"texts": texts})


def main():
    path = find_gguf()
    torch = calm_torch()
    from transformers import AutoModelForCausalLM

    for name in ["tiny-llama", *FAMILIES]:
        tiny_goldens(torch, FIXTURES / name)
    tokenizer = load_tokenizer(path)
    model = AutoModelForCausalLM.from_pretrained(
        str(path.parent), gguf_file=path.name, dtype=torch.float32, attn_implementation="eager").eval()
    texts = [{"text": text, "ids": plain_ids(tokenizer, text)} for text in embedding_texts()[:SMOLLM2_TEXTS]]
    for text in texts:
        text["base"] = f32_list(pooled(torch, model.model, text["ids"]))
    write_json(FIXTURES / "smollm2" / "embeddings.json", {"ggufSha256": SHA256, "texts": texts})


if __name__ == "__main__":
    main()
