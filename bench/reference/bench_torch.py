"""One measured process of `npm run bench:engine`: the same task as the engine's, by PyTorch, transformers and PEFT.

Usage: bench_torch.py TASK.json fp32|bf16|nf4.  Prints one JSON object with the seconds of every timed call and the peak
resident memory of each phase.  Development only.
"""

import json
import pathlib
import sys
import time

task = json.loads(pathlib.Path(sys.argv[1]).read_text())
precision = sys.argv[2]
started = time.perf_counter()

import torch  # noqa: E402
from peft import LoraConfig, get_peft_model  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

imported = time.perf_counter()
torch.set_num_threads(task["threads"])
GEMM_SHAPES = [(576, 576), (1536, 576), (576, 1536), (1024, 1024)]


def peak_rss_bytes():
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def reset_peak():
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass  # the peaks then only grow from phase to phase


def timed(call, warm_up, count):
    """Seconds of the timed calls and the peak of this phase alone."""
    reset_peak()
    seconds = []
    for at in range(warm_up + count):
        begun = time.perf_counter()
        call()
        if at >= warm_up:
            seconds.append(time.perf_counter() - begun)
    return {"seconds": seconds, "peakRssBytes": peak_rss_bytes()}


def load():
    path = pathlib.Path(task["model"])
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    where = {"gguf_file": path.name} if path.is_file() else {}
    model = AutoModelForCausalLM.from_pretrained(path.parent if where else path, dtype=dtype, **where)
    if precision == "nf4":
        to_nf4(model)
    return model


def to_nf4(model):
    """Every linear layer but the tied head becomes bitsandbytes' 4-bit layer with double quantization."""
    import bitsandbytes

    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, torch.nn.Linear) and name != "lm_head":
                layer = bitsandbytes.nn.Linear4bit(
                    child.in_features, child.out_features, bias=False, compute_dtype=torch.float32, quant_type="nf4"
                )
                layer.weight = bitsandbytes.nn.Params4bit(
                    child.weight.data, requires_grad=False, quant_type="nf4", compress_statistics=True
                )
                setattr(parent, name, layer.to("cpu"))


def arithmetic():
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16")


def forward(model, rows):
    inputs = rows[:, :-1]

    @torch.no_grad()
    def call():
        with arithmetic():
            model(inputs, logits_to_keep=1).logits.argmax(-1)

    return timed(call, 1, task["calls"])


def generate(model, rows, count):
    prompts = rows[:count, : task["promptTokens"]]
    options = {"max_new_tokens": task["newTokens"], "min_new_tokens": task["newTokens"], "do_sample": False,
               "attention_mask": torch.ones_like(prompts), "pad_token_id": 2, "eos_token_id": None}

    @torch.no_grad()
    def call():
        with arithmetic():
            made = model.generate(prompts, **options)
        assert made.shape[1] == task["promptTokens"] + task["newTokens"]

    return timed(call, 1, task["calls"])


def train(model, rows):
    config = task["config"]
    tuned = get_peft_model(model, LoraConfig(
        r=config["r"], lora_alpha=config["loraAlpha"], lora_dropout=0.0, target_modules="all-linear"))
    tuned.train()
    learning = [p for p in tuned.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=config["learningRate"], weight_decay=config["weightDecay"])
    inputs, targets = rows[:, :-1], rows[:, 1:].clone()
    targets[:, : task["labelledFrom"] - 1] = -100
    losses = []

    def call():
        optimizer.zero_grad()
        with arithmetic():
            logits = tuned(input_ids=inputs).logits
        loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning, config["maxGradNorm"])
        optimizer.step()
        losses.append(loss.item())

    return timed(call, task["warmUp"], task["steps"]), losses


def gemm_gflops():
    """Fastest product of the arithmetic in use; x [1024, K] times the transpose of [N, K]."""
    dtype, best = torch.bfloat16 if precision == "bf16" else torch.float32, 0.0
    for n, k in GEMM_SHAPES:
        x, w = torch.rand(1024, k, dtype=dtype), torch.rand(n, k, dtype=dtype)
        for _ in range(40):
            begun = time.perf_counter()
            torch.nn.functional.linear(x, w)
            best = max(best, 2 * 1024 * n * k / (time.perf_counter() - begun) / 1e9)
    return best


def main():
    begun = time.perf_counter()
    model = load()
    loaded = {"seconds": [time.perf_counter() - begun], "peakRssBytes": peak_rss_bytes()}
    rows = torch.tensor(task["rows"])
    # bitsandbytes' inference path repacks the weights and rounds to bf16: it must not be measured as fp32 arithmetic.
    model.train(precision == "nf4")
    phases = {"load": loaded, "generate": generate(model, rows, len(rows)), "generateOne": generate(model, rows, 1)}
    if not task["generationOnly"]:
        phases["forward"] = forward(model, rows)
        phases["train"], losses = train(model, rows)
        phases |= {"lossesNats": losses, "gemmGflops": gemm_gflops()}
    print(json.dumps({**phases, "importSeconds": imported - started, "versions": {"torch": torch.__version__}}))


if __name__ == "__main__":
    main()
