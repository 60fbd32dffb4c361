"""Greedy replies of SmolLM2 to ten conversations against transformers on the same weights, fp32 and decoded NF4."""

from make_smollm2_goldens import NEW_TOKENS, reply
from smollm2_texts import PROMPTS

#: Near-ties may part: 9 of 10 replies must be equal, token for token.
LEAST_EQUAL = 9


def check(torch, probe, report, model, tokenizer, form):
    """The probe holds the same weights as `model`."""
    theirs = [reply(torch, model, tokenizer, messages) for messages in PROMPTS]
    ours = probe.ask("generate", prompts=[row["promptIds"] for row in theirs], newTokens=NEW_TOKENS)
    equal = sum(a == b["ids"] for a, b in zip(ours, theirs, strict=True))
    report.at_least(f"greedy replies: SmolLM2 {form}", equal, LEAST_EQUAL, f"equal of {len(theirs)}, {NEW_TOKENS} tokens")
