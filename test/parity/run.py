"""Every parity check against the engine. Usage: run.py PROBE GGUF [--only logits,embeddings,nf4,bnb,exports,tokenizer,training,full,replies].

Prints one JSON object a line and check; the last line is the list of all. `npm run parity` starts it.
"""

import argparse
import copy
import json
import pathlib
import tempfile

from common import calm_torch

torch = calm_torch()

import check_bnb_out  # noqa: E402
import check_embeddings  # noqa: E402
import check_exports  # noqa: E402
import check_full  # noqa: E402
import check_logits  # noqa: E402
import check_nf4  # noqa: E402
import check_qlora  # noqa: E402
import check_replies  # noqa: E402
import check_tokenizer  # noqa: E402
import check_training  # noqa: E402
from make_smollm2_goldens import load_tokenizer, to_nf4_double  # noqa: E402
from probe import Probe  # noqa: E402
from report import Report  # noqa: E402
from smollm2_texts import TRAINING_PAIRS  # noqa: E402
from tiny_llama import FAMILIES, TINY_SHAPES, load_base, make_random_checkpoint  # noqa: E402

GROUPS = ["logits", "embeddings", "nf4", "bnb", "exports", "tokenizer", "training", "full", "replies"]


def load_smollm2(path):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        str(path.parent), gguf_file=path.name, dtype=torch.float32, attn_implementation="eager").eval()


def tiny_checks(groups, probe, report, room):
    if "nf4" in groups:
        check_nf4.check(torch, probe, report, room)
    if "bnb" in groups:
        check_bnb_out.check_tiny(torch, probe, report, room)
    if "exports" in groups:
        check_exports.check(torch, probe, report, room)
    if "logits" in groups:
        check_logits.check_tiny(torch, probe, report, room)
    if "embeddings" in groups:
        check_embeddings.check_tiny(torch, probe, report, room)
    if "training" in groups:
        folder = room / "trained-tiny"
        make_random_checkpoint(torch, folder, TINY_SHAPES["tiny grouped heads"])
        probe.open(folder)
        rows = check_training.random_rows(384, 24, 81, 60)
        base = load_base(torch, folder)
        base = check_training.check_gradients(torch, probe, report, "tiny", base, rows[:4], room)
        check_training.check_curve(torch, probe, report, "tiny", base, rows, room)
        check_qlora.check(torch, probe, report, "tiny", folder, folder, rows, room, limit_all=True)
        for name, shape in FAMILIES.items():
            make_random_checkpoint(torch, room / name, shape)
            probe.open(room / name)
            check_training.check_gradients(torch, probe, report, name, load_base(torch, room / name), rows[:4], room)
    if "full" in groups:
        rows = check_training.random_rows(384, 24, 81, 60)
        for name, shape in {"tiny": TINY_SHAPES["tiny grouped heads"], **FAMILIES}.items():
            folder = room / f"full-{name}"
            make_random_checkpoint(torch, folder, shape)
            probe.open(folder)
            base = load_base(torch, folder)
            check_full.check_full_gradients(torch, probe, report, name, base, rows[:4], room)
            check_full.check_full_curve(torch, probe, report, name, base, rows, room)


def save_plain(model, folder):
    """A folder of what came from a GGUF file, which transformers takes for quantized and does not save itself."""
    config = copy.deepcopy(model.config)
    vars(config).pop("quantization_config", None)
    plain = type(model)(config)
    plain.load_state_dict(model.state_dict())
    plain.save_pretrained(folder)


def smollm2_checks(groups, probe, report, gguf, room):
    tokenizer = load_tokenizer(gguf)
    probe.open(gguf)
    if "tokenizer" in groups:
        check_tokenizer.check(probe, report, tokenizer)
    if "bnb" in groups:
        check_bnb_out.check_smollm2(torch, probe, report, gguf, room)
        probe.open(gguf)
    if not {"logits", "embeddings", "training", "full", "replies"} & set(groups):
        return
    model = load_smollm2(gguf)
    if "logits" in groups:
        check_logits.check_smollm2(torch, probe, report, model, tokenizer, room)
    if "embeddings" in groups:
        check_embeddings.check_smollm2(torch, probe, report, model, tokenizer, room)
    if "replies" in groups:
        check_replies.check(torch, probe, report, model, tokenizer, "fp32")
    if "full" in groups:
        rows = check_training.text_rows(tokenizer, TRAINING_PAIRS)
        check_full.check_full_gradients(torch, probe, report, "SmolLM2", model, rows[:3], room)
    if "training" in groups:
        rows = check_training.text_rows(tokenizer, TRAINING_PAIRS)
        model = check_training.check_gradients(torch, probe, report, "SmolLM2", model, rows[:3], room)
        model = check_training.check_curve(torch, probe, report, "SmolLM2", model, rows, room)
        save_plain(model, room / "smollm2")
        tokenizer.save_pretrained(room / "smollm2")
        check_qlora.check(torch, probe, report, "SmolLM2", gguf, room / "smollm2", rows, room, limit_all=False)
    if "replies" in groups:
        to_nf4_double(torch, model)
        probe.open(gguf, "nf4")
        check_replies.check(torch, probe, report, model, tokenizer, "NF4, double quantization")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("probe")
    parser.add_argument("gguf", type=pathlib.Path)
    parser.add_argument("--only", default=",".join(GROUPS))
    options = parser.parse_args()
    groups = options.only.split(",")
    if set(groups) - set(GROUPS):
        raise SystemExit(f"--only: known are {', '.join(GROUPS)}")
    torch.manual_seed(0)
    report, probe = Report(), Probe(options.probe)
    with tempfile.TemporaryDirectory(prefix="escada-parity-") as room:
        tiny_checks(groups, probe, report, pathlib.Path(room))
        if set(groups) - {"nf4", "exports"}:
            smollm2_checks(groups, probe, report, options.gguf, pathlib.Path(room))
    probe.close()
    print(json.dumps(report.results))


if __name__ == "__main__":
    main()
