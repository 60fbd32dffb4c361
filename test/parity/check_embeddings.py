"""Embeddings (mean of the final hidden states) against transformers in fp32: SmolLM2 and random tiny checkpoints."""

import numpy as np
from safetensors.numpy import load_file

from smollm2_texts import logit_texts
from tiny_llama import TINY_SHAPES, load_base, make_random_checkpoint

#: Norm of the difference over the norm of an embedding.
LIMIT = 1e-5


def embedding_texts():
    """A single letter, plain sentences, one text across windows and original contexts, control strings as text."""
    sentences = logit_texts(8)
    return ["x", *sentences[:3], " ".join(sentences[3:6]), "<|im_end|> is text here, 12 + 30.", *sentences[6:]]


def plain_ids(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)


def pooled(torch, model, ids):
    """`[C]` float64: transformers' last hidden states, which are behind the last norm, averaged over all tokens."""
    with torch.no_grad():
        return model(torch.tensor([ids])).last_hidden_state[0].double().mean(0).numpy()


def compare(torch, probe, model, sequences, room):
    out = room / "embeddings.safetensors"
    probe.ask("embed", ids=sequences, out=str(out))
    ours = load_file(out)["embeddings"].astype(np.float64)
    theirs = np.stack([pooled(torch, model.model, ids) for ids in sequences])
    return float((np.linalg.norm(ours - theirs, axis=1) / np.linalg.norm(theirs, axis=1)).max())


def check_smollm2(torch, probe, report, model, tokenizer, room):
    sequences = [plain_ids(tokenizer, text) for text in embedding_texts()]
    worst = compare(torch, probe, model, sequences, room)
    report.at_most("embeddings: SmolLM2 fp32", worst, LIMIT, f"{len(sequences)} texts")


def check_tiny(torch, probe, report, room):
    for name, shape in TINY_SHAPES.items():
        folder = room / f"{name} embed"
        make_random_checkpoint(torch, folder, shape)
        random = np.random.default_rng(47)
        sequences = [[int(t) for t in random.integers(3, 384, int(n))] for n in random.integers(1, 400, 12)]
        probe.open(folder)
        worst = compare(torch, probe, load_base(torch, folder), sequences, room)
        report.at_most(f"embeddings: {name} fp32", worst, LIMIT, f"{len(sequences)} sequences")
