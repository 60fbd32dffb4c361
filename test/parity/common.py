"""What every golden maker shares: quiet, bounded torch, and JSON that keeps each float32 exactly."""

import json
import os
from pathlib import Path

import numpy as np

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
CACHE = Path(os.environ.get("ESCADA_REFERENCE_CACHE", Path.home() / ".cache" / "escada"))


def calm_torch(threads=2):
    """Imports torch with few threads at low priority, offline, and returns it."""
    os.nice(10)
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import torch

    torch.set_num_threads(threads)
    return torch


def f32(value):
    """The shortest decimal that reads back as the same float32."""
    return float(str(np.float32(value)))


def f32_list(values):
    """A flat list of `f32` values of any array or tensor."""
    return [f32(v) for v in np.asarray(values, dtype=np.float32).reshape(-1)]


def write_json(path, value):
    """Writes one top-level key (and, for lists, one element) a line, so that diffs stay readable."""
    def block(item):
        if isinstance(item, list) and item and isinstance(item[0], (dict, list)):
            return "[\n" + ",\n".join("  " + dump(x) for x in item) + "\n]"
        if isinstance(item, dict):
            return "{\n" + ",\n".join(f"  {json.dumps(k)}: {dump(v)}" for k, v in item.items()) + "\n}"
        return dump(item)

    def dump(item):
        return json.dumps(item, ensure_ascii=True, allow_nan=False, separators=(",", ":"))

    body = ",\n".join(f"{json.dumps(k)}: {block(v)}" for k, v in value.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{\n" + body + "\n}\n")
    print(f"{path.relative_to(FIXTURES)}: {path.stat().st_size} bytes")
