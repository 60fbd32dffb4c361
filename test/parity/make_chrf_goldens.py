"""Writes test/fixtures/chrf/golden.json: sentence and corpus chrF2 of sacrebleu with its default settings.

    python test/parity/make_chrf_goldens.py
"""

import numpy as np
import sacrebleu
from sacrebleu.metrics import CHRF

from common import FIXTURES, write_json

HAND = [
    ("", ""), ("", "a"), ("a", ""), (" ", "a"), ("a", "\n\t "), ("a", "a"), ("ab", "abc"), ("abcdef", "abcdef"),
    ("abcdefg", "gfedcba"), ("aaaaaaaa", "aaaa"), ("aaaa", "aaaaaaaa"), ("The cat", "the cat"),
    ("the cat sat on the mat", "the cat sat on a mat"), ("a b c", "abc"), ("  padded  ", "padded"),
    ("Soft, warm and dry.", "Soft merino wool keeps your feet warm and dry."), ("naïve café", "naive cafe"),
    ("e\u0301", "é"), ("你好，世界", "你好世界"), ("👍🏽 good", "👍 good"), ("👩‍👩‍👧", "👩‍👩‍👧‍👦"), ("𝔘𝔫𝔦", "𝔘𝔫"),
    ("a\u00a0b\u3000c\u2028d", "abcd"), ("a\x1cb\x1dc\x1ed\x1fe\x85f", "abcdef"), ("a\ufeffb\u200bc", "abc"),
    ("Привет, мир", "привет мир"), ("مرحبا بالعالم", "مرحبا"), ("1.7 litres", "1,7 litres"), ("x" * 300, "x" * 299 + "y"),
]


def varied(count=60):
    """Seeded word shuffles, cuts and repeats: plausible predictions of every quality."""
    random = np.random.default_rng(51)
    words = "steel kettle boils quickly pours cleanly keeps warm a the and holds 1.7 litres — café, wool's soft!".split()
    rows = []
    for _ in range(count):
        reference = list(random.choice(words, int(random.integers(1, 20))))
        prediction = [w if random.random() < 0.7 else str(random.choice(words)) for w in reference]
        if random.random() < 0.3:
            prediction = prediction[: int(random.integers(0, len(prediction) + 1))]
        rows.append((" ".join(prediction), " ".join(reference)))
    return rows


def main():
    metric = CHRF()
    rows = [{"prediction": p, "reference": r, "score": metric.sentence_score(p, [r]).score} for p, r in HAND + varied()]
    spans = [(0, len(rows)), (0, 5), (5, 29), (29, 89), (40, 41), (0, 2)]
    corpora = []
    for start, end in spans:
        part = rows[start:end]
        score = metric.corpus_score([x["prediction"] for x in part], [[x["reference"] for x in part]])
        corpora.append({"from": start, "to": end, "score": score.score})
    signature = str(metric.get_signature())
    write_json(FIXTURES / "chrf" / "golden.json",
               {"sacrebleu": sacrebleu.__version__, "signature": signature, "rows": rows, "corpora": corpora})


if __name__ == "__main__":
    main()
