"""Trains a LoRA adapter with PyTorch, transformers and PEFT, as a trainer of Escada.

The data order is a function of seed and epoch, and dropout is seeded again at each step, so that a training that was cut
off and resumed gives the bytes of an undisturbed one (on a CPU, with the same number of threads).
"""

import hashlib
import importlib.metadata
import json
import math
import os
import pathlib
import random
import shutil

from escada_trainer import TrainerError, serve

LIBRARIES = ["torch", "transformers", "peft", "safetensors"]
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def handshake():
    """Versions only: the libraries themselves are loaded when a training begins, so that the handshake is quick."""
    sources = [pathlib.Path(__file__), pathlib.Path(__file__).with_name("escada_trainer.py")]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    versions = " ".join(f"{name}-{importlib.metadata.version(name)}" for name in LIBRARIES)
    return {
        "protocol": 1, "name": "transformers-peft", "version": "1", "build": f"{digest} {versions}",
        "capabilities": {
            "weightFormats": ["f32"], "modelFiles": ["gguf", "hf-folder"], "optim": ["adamw_torch"],
            "lrSchedulerTypes": ["constant", "linear", "cosine"], "rsLora": True, "packing": False,
            "resume": "bitwise",
        },
    }


def load_base(params):
    """Model in float32 and tokenizer, from a folder or a GGUF file."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = pathlib.Path(params["modelPath"])
    gguf = {"gguf_file": path.name} if path.suffix == ".gguf" else {}
    folder = path.parent if gguf else path
    model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32, attn_implementation="eager", **gguf)
    tokenizer = AutoTokenizer.from_pretrained(str(folder), **gguf)
    if gguf and "smollm" in path.name.lower():
        from tokenizers import pre_tokenizers

        # The loader of GGUF files leaves out that this family splits numbers into digits.
        backend = tokenizer.backend_tokenizer
        digits = pre_tokenizers.Digits(individual_digits=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence([digits, backend.pre_tokenizer])
    return model, tokenizer


def read_rows(params, tokenizer):
    """Token ids and the position of the first label: the loss covers the answer and the end of its turn."""
    rows = []
    for line in pathlib.Path(params["rowsPath"]).read_text(encoding="utf-8").split("\n"):
        if line == "":
            continue
        row = json.loads(line)
        prompt = tokenizer.apply_chat_template(row["messages"], tokenize=False, add_generation_prompt=True)
        prompt = tokenizer.encode(prompt, add_special_tokens=False)
        answer = tokenizer.encode(row["answer"], add_special_tokens=False) + [tokenizer.eos_token_id]
        ids = (prompt + answer)[: params["config"]["maxSeqLengthTokens"]]
        if len(ids) > len(prompt):
            rows.append((ids, len(prompt)))
    if not rows:
        raise TrainerError("TRAINING_DATA_INVALID", "no row has a token of its answer within maxSeqLengthTokens")
    return rows


def adapted(model, config):
    """The base with a seeded LoRA adapter on its linear layers."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(config["seed"])
    targets = LINEARS if config["targetModules"] == "all-linear" else config["targetModules"]
    return get_peft_model(model, LoraConfig(
        r=config["r"], lora_alpha=config["loraAlpha"], lora_dropout=config["loraDropout"],
        use_rslora=config["rsLora"], target_modules=targets, task_type="CAUSAL_LM"))


def rate(config, step, total):
    """Learning rate of a step, counted from 0: a warm-up in a straight line, then the chosen schedule."""
    warm_up = config["warmupSteps"]
    if step < warm_up:
        return config["learningRate"] * step / warm_up
    done = (step - warm_up) / max(1, total - warm_up)
    factor = {"constant": 1.0, "linear": 1.0 - done, "cosine": 0.5 * (1.0 + math.cos(math.pi * done))}
    return config["learningRate"] * factor[config["lrSchedulerType"]]


def step_rows(rows, config, step, per_epoch):
    """Rows of one optimizer step: a slice of the epoch's order, which only seed and epoch decide."""
    epoch, within = divmod(step, per_epoch)
    order = list(range(len(rows)))
    random.Random(config["seed"] * 1_000_003 + epoch).shuffle(order)
    size = config["perDeviceTrainBatchSize"] * config["gradientAccumulationSteps"]
    return [rows[at] for at in order[within * size : (within + 1) * size]]


def batch_loss(model, rows):
    """Sum of the negative log-likelihoods of the labelled tokens of a padded batch, in nats. logits: [B, T, V] f32."""
    import torch

    longest = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in rows])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in rows])
    labels = torch.tensor([[-100] * start + ids[start:] + [-100] * (longest - len(ids)) for ids, start in rows])
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), reduction="sum")


class Training:
    """Adapter, optimizer and the step that they are at."""

    def __init__(self, params, report):
        import torch

        self.torch, self.report, self.config = torch, report, params["config"]
        self.out = pathlib.Path(params["outDir"])
        report.alive("loading the base")
        base, tokenizer = load_base(params)
        self.rows = read_rows(params, tokenizer)
        self.model = adapted(base, self.config)
        self.learning = [(name, one) for name, one in sorted(self.model.named_parameters()) if one.requires_grad]
        self.optimizer = torch.optim.AdamW(
            [one for _, one in self.learning], lr=0.0, weight_decay=self.config["weightDecay"],
            betas=(self.config["adamBeta1"], self.config["adamBeta2"]), eps=self.config["adamEpsilon"], foreach=False)
        batch = self.config["perDeviceTrainBatchSize"] * self.config["gradientAccumulationSteps"]
        self.per_epoch = math.ceil(len(self.rows) / batch)
        epochs = math.ceil(self.config["numTrainEpochs"] * self.per_epoch)
        self.total = self.config["maxSteps"] if self.config["maxSteps"] > 0 else epochs
        self.step = 0

    def restore(self, folder):
        """Continues from a checkpoint of `save`."""
        from safetensors.torch import load_file

        state = load_file(pathlib.Path(folder) / "state.safetensors")
        self.step = int(state.pop("step"))
        with self.torch.no_grad():
            for name, one in self.learning:
                one.copy_(state[name])
                self.optimizer.state[one] = {
                    "step": self.torch.tensor(float(self.step)),
                    "exp_avg": state[f"{name}.exp_avg"], "exp_avg_sq": state[f"{name}.exp_avg_sq"]}

    def save(self):
        from safetensors.torch import save_file

        state = {"step": self.torch.tensor(self.step)}
        for name, one in self.learning:
            moments = self.optimizer.state[one]
            state[name] = one.detach().contiguous()
            state[f"{name}.exp_avg"], state[f"{name}.exp_avg_sq"] = moments["exp_avg"], moments["exp_avg_sq"]
        folder = self.out / f"checkpoint-{self.step}"
        folder.mkdir()
        save_file(state, folder / "state.safetensors")
        self.report.checkpoint(self.step)

    def one_step(self):
        """One optimizer step. The loss is weighted by the labelled tokens of the whole step."""
        torch, config = self.torch, self.config
        torch.manual_seed(config["seed"] * 1_000_003 + self.step)
        rows = step_rows(self.rows, config, self.step, self.per_epoch)
        tokens = sum(len(ids) - start for ids, start in rows)
        lr = rate(config, self.step, self.total)
        self.optimizer.param_groups[0]["lr"] = lr
        self.optimizer.zero_grad()
        total = 0.0
        for at in range(0, len(rows), config["perDeviceTrainBatchSize"]):
            loss = batch_loss(self.model, rows[at : at + config["perDeviceTrainBatchSize"]]) / tokens
            loss.backward()
            total += loss.item()
        norm = torch.nn.utils.clip_grad_norm_([one for _, one in self.learning], config["maxGradNorm"]).item()
        if not (math.isfinite(total) and math.isfinite(norm)):
            raise TrainerError("TRAINING_NON_FINITE", f"step {self.step + 1}: loss {total}, gradient norm {norm}")
        self.optimizer.step()
        self.step += 1
        self.report.progress(step=self.step, totalSteps=self.total, lossNats=total, learningRate=lr,
                             tokens=tokens, gradientNorm=norm)

    def run(self):
        self.report.alive("training")
        self.model.train()
        while self.step < self.total:
            self.report.stop_if_cancelled()
            self.one_step()
            if self.step % self.config["saveSteps"] == 0:
                self.save()

    def publish(self):
        """Writes the adapter in PEFT format; gives its folder and the digest of its weights."""
        folder = self.out / "adapter"
        shutil.rmtree(folder, ignore_errors=True)
        self.model.save_pretrained(str(folder))
        (folder / "README.md").unlink(missing_ok=True)
        digest = hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()
        return str(folder), digest


def train(params, report):
    training = Training(params, report)
    if params["resumeFrom"] is not None:
        training.restore(params["resumeFrom"])
    resumed = training.step
    training.run()
    path, digest = training.publish()
    return {"adapterPath": path, "adapterSha256": digest, "steps": training.step, "resumedFromStep": resumed}


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    serve(handshake(), train)
