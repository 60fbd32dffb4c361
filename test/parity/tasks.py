"""The reference's answers to the rows of tools/reference/tasks.ts.

Usage: tasks.py GGUF TASKS.json ANSWERS.json NEW_TOKENS.  fp32 weights decoded by transformers, one row at a time.
"""

import json
import sys
from pathlib import Path

from common import calm_torch
from make_smollm2_goldens import load_tokenizer

torch = calm_torch()
#: The reply's last token.
END = 2


@torch.no_grad()
def label(model, tokenizer, row):
    """Index of the continuation with the largest sum of log-probabilities; prompt and continuation encoded apart."""
    before = tokenizer.encode(row["prompt"], add_special_tokens=False, split_special_tokens=True)
    ends = [tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True) for text in row["continuations"]]
    if all(len(end) == 1 for end in ends):
        logits = model(torch.tensor([before]), logits_to_keep=1).logits[0, -1]
        return int(logits[[end[0] for end in ends]].argmax())
    sums = []
    for end in ends:
        logits = model(torch.tensor([before + end]), logits_to_keep=len(end) + 1).logits[0, :-1]
        chosen = torch.log_softmax(logits.double(), -1).gather(1, torch.tensor(end)[:, None])
        sums.append(chosen.sum().item())
    return sums.index(max(sums))


@torch.no_grad()
def reply(model, tokenizer, row, new_tokens):
    text = tokenizer.apply_chat_template(row["messages"], tokenize=False, add_generation_prompt=True)
    prompt = torch.tensor([tokenizer.encode(text, add_special_tokens=False)])
    made = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=new_tokens, do_sample=False,
                          eos_token_id=END, pad_token_id=END)
    return tokenizer.decode(made[0, prompt.shape[1]:], skip_special_tokens=True)


def main():
    from transformers import AutoModelForCausalLM

    gguf, tasks, out, new_tokens = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    tokenizer = load_tokenizer(gguf)
    model = AutoModelForCausalLM.from_pretrained(str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32).eval()
    answers = {}
    for name, task in json.loads(tasks.read_text()).items():
        print(json.dumps(name), flush=True)
        if "scores" in task:
            answers[name] = {"labels": [label(model, tokenizer, row) for row in task["scores"]]}
        else:
            answers[name] = {"replies": [reply(model, tokenizer, row, new_tokens) for row in task["questions"]]}
    out.write_text(json.dumps(answers))
    print(json.dumps(len(answers)))


if __name__ == "__main__":
    main()
