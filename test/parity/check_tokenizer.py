"""Token ids against the patched loader: 300 strings that no fixture holds."""

from smollm2_texts import parity_strings

STRINGS = 300


def check(probe, report, tokenizer):
    """The probe holds SmolLM2. Control strings recognised, and the same text as plain text."""
    strings = parity_strings(STRINGS)
    answers = probe.ask("encode", strings=strings)
    wrong, wrong_plain = 0, 0
    for text, ours in zip(strings, answers):
        wrong += ours["ids"] != tokenizer.encode(text, add_special_tokens=False)
        plain = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        wrong_plain += ours["plainIds"] != plain
    report.at_most("tokenizer: control strings recognised", wrong, 0, f"differing of {STRINGS} strings")
    report.at_most("tokenizer: plain text", wrong_plain, 0, f"differing of {STRINGS} strings")
