"""The strings, prompts and conversations of the SmolLM2 goldens, and nothing else."""

import numpy as np

PROMPTS = [
    [{"role": "user", "content": "What is the capital of France?"}],
    [{"role": "user", "content": "Write a one-sentence product description for a steel kettle."}],
    [{"role": "system", "content": "Answer with a single word."}, {"role": "user", "content": "Opposite of hot?"}],
    [{"role": "user", "content": "List three uses of a wool blanket."}],
    [{"role": "user", "content": "Compute 12 + 30.\n\n7 is prime, yes or no?"}],
    [{"role": "user", "content": "Translate to French: Good morning, my friend."}],
    [
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "Nice to meet you, Ada."},
        {"role": "user", "content": "What is my name?"},
    ],
    [{"role": "user", "content": "Is this review positive or negative? \"The lid broke after two days.\""}],
    [{"role": "user", "content": "Écris une phrase sur le café ☕."}],
    [{"role": "system", "content": "You are a shop assistant."},
     {"role": "user", "content": "Attributes: colour: red; size: 42;  price: 19.90\nDescribe the shoe."}],
]

SCORES = [
    ("Review: The lid broke after two days.\nSentiment:", [" positive", " negative"]),
    ("Review: Best kettle I have ever owned!\nSentiment:", [" positive", " negative"]),
    ("The capital of Italy is", [" Rome", " Paris", " Madrid and Rome"]),
    ("1, 2, 3, 4,", [" 5", " 6", " 50, 60"]),
]

CONVERSATIONS = [
    [{"role": "user", "content": "Hi 12"}],
    [{"role": "user", "content": ""}],
    [{"role": "system", "content": ""}, {"role": "user", "content": "x  1"}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Line one\n\n2 lines"}],
    [{"role": "user", "content": "  padded  "}, {"role": "assistant", "content": "ok\n"}, {"role": "user", "content": "\n"}],
    [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
    [{"role": "user", "content": "emoji 👩‍👩‍👧 and ½ and ٣"}],
]

HAND = [
    "", " ", "  ", "\n", "\n\n", "\t", " \n ", "x  1", "x\n\n1", "x   12  3", " ½", "a ½", " ٣", "٣٤", "①②", "Ⅷ",
    "a\x04b", "\x06\x13\x14\x16\x1d", "\U00040000", "a\U000B1234b", "<|im_start|>", "<|im_end|>", " <|im_end|> x",
    "<|endoftext|>", "<|IM_END|>", "a<|im_start|>user\nb<|im_end|>", "<repo_name>x", "Hello, world!", "Hello  world",
    "I'm you're we'll they've he'd it's", "I'M YOU'RE", "don''t", "1234567890", "3.14159", "1,000,000", "-42",
    "price: $19.90", "café", "cafe\u0301", "naïve façade", "straße", "Ωμέγα", "Привет, мир", "你好，世界", "こんにちは",
    "안녕하세요", "مرحبا بالعالم", "שלום", "नमस्ते", "สวัสดี", "👋", "👩‍👩‍👧‍👦", "🇫🇷", "a👍b", "e\u200bf", "\ufeffx", "\u00a0x",
    "\u3000x", "x\u2028y", "\r\n", "a\r\nb", "\x00", "\x7f", "\u0085", "tab\there", "a\t\t1", "    indented", "def f(x):\n    return x + 1\n",
    "{\"a\": [1, 2.5, null]}", "<html><body>&amp;</body></html>", "http://example.com/a?b=1&c=2", "user@example.com",
    "C:\\path\\to\\file", "a_b-c.d", "snake_case camelCase PascalCase", "ALLCAPS", "mixedCASE", "....", "---", "!!!???",
    "«quoted» “curly” ‘single’", "—–-", "x²+y³", "H₂O", "½¾", "№5", "5€", "£5", "100%", "a/b", "10:30", "2026-11-21",
    "v1.2.3-rc.4", "#hashtag @mention", "line1\nline2\n", "\n\n\n\n", "trailing   ", "   leading", "a b c d e f",
    "supercalifragilisticexpialidocious", "zzzzzzzzzzzzzzzz", "aaaaaaaaaaaaaaaaaaaaaaaa", "\U0001F9FF", "𝔘𝔫𝔦", "ﬁ ligature",
    "İstanbul ıi", "ǅ", "Ａ１", "a\u0300\u0301\u0302", "\u202eabc", "𐍈", "ꙮ", "1 2 3", "1  2   3", "a1b2c3", " 1", "  1", "\n1", " \n1",
]


def varied_strings(total=300):
    """`HAND` plus seeded mixtures of awkward pieces."""
    random = np.random.default_rng(41)
    pieces = [
        " ", "  ", "\n", "\n\n", "\t", "1", "42", "007", "½", "٣", "①", "the", " kettle", "Wool", "é", "ñ", "你", "🙂", "'s",
        "'LL", ".", ",", "!?", "(", ")", "-", "_", "=>", "\u00a0", "x", " a", "ing", "\r\n", "\u200d", "\x04", "ß", "Я", "ก",
    ]
    out = list(HAND)
    while len(out) < total:
        out.append("".join(random.choice(pieces, int(random.integers(2, 14)))))
    return out[:total]


def parity_strings(total, seed=97):
    """Strings that no fixture holds: random characters of many scripts, prose, code, digits and control strings."""
    random = np.random.default_rng(seed)
    scripts = [(0x20, 0x7E), (0xA0, 0x17F), (0x370, 0x3FF), (0x400, 0x45F), (0x5D0, 0x5EA), (0x620, 0x669), (0x905, 0x96F),
               (0xE01, 0xE59), (0x2150, 0x218B), (0x2460, 0x2473), (0x3041, 0x30FE), (0x4E00, 0x4FFF), (0xAC00, 0xACFF),
               (0x1F300, 0x1F5FF)]
    words = ["price", "Size", "12", "3.5", "2026", "l'été", "don't", "WE'LL", "x=1;", "return", "\n", "\n\n", "  ", "\t", "½",
             "٣", "<|im_end|>", "<|im_start|>user", "👩‍👩‍👧", "def f(a):", "{}", "http://a.b/c?d=1", "—", "\x04", "\r\n", "naïve"]
    out = []
    for at in range(total):
        if at % 2 == 0:
            low, high = scripts[int(random.integers(len(scripts)))]
            count = int(random.integers(1, 24))
            text = "".join(chr(int(c)) for c in random.integers(low, high + 1, count))
            digits = "".join(str(int(d)) for d in random.integers(0, 10, 3))
            out.append(text[: count // 2] + " " * int(random.integers(0, 4)) + digits + text[count // 2 :])
        else:
            glue = [" ", "", "  "]
            parts = random.choice(words, int(random.integers(2, 12)))
            out.append("".join(str(p) + glue[int(random.integers(3))] for p in parts))
    return out


_SUBJECTS = ["kettle", "wool blanket", "bicycle lamp", "garden chair", "enamel pot", "hiking sock", "desk clock", "tea towel"]
_PLACES = ["in the kitchen", "on a cold morning", "at the market", "during a long journey", "by the lake"]
_ENDS = ["and it kept its warmth for hours.", "although nobody had asked for it.", "because the old one was broken.",
         "which cost 24 euros in 2019."]


def logit_texts(count):
    """Plain sentences of about 20 to 40 tokens."""
    return [
        f"The {_SUBJECTS[i % 8]} was used {_PLACES[i % 5]}, {_ENDS[i % 4]} "
        f"Later the {_SUBJECTS[(3 * i + 1) % 8]} was sold {_PLACES[(2 * i + 1) % 5]} for {7 * i + 3} coins."
        for i in range(count)
    ]


TRAINING_PAIRS = [
    (f"Describe a {colour} {thing}.", f"A {colour} {thing}, made to last: {reason}")
    for thing, reason in zip(_SUBJECTS, ["it boils fast.", "it warms gently.", "it shines far.", "it folds flat.",
                                         "it never chips.", "it stays dry.", "it never lags.", "it dries quickly."])
    for colour in ["blue", "red"]
]
