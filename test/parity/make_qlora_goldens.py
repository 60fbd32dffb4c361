"""Writes test/fixtures/tiny-llama/golden-qlora.json, fifty losses of PEFT over bitsandbytes' 4-bit layers, and bnb-4bit/, the
base they were trained on as bitsandbytes saves it.

    python test/parity/make_qlora_goldens.py

Base: tiny-llama, quantized by bitsandbytes on loading (NF4, blocks of 64, double quantization, compute type float32).
Adapter, rows: those of the fixture. AdamW, linear warm-up and decay, clipping.
"""

from common import FIXTURES, calm_torch, f32_list, write_json
from make_tiny_llama import BATCHES, batch_loss, encode_rows
from tiny_llama import load_adapted, load_bnb

FOLDER = FIXTURES / "tiny-llama"
STEPS, WARM_UP, RATE, DECAY = 50, 5, 2e-3, 0.01
CONFIG = {
    "r": 4, "loraAlpha": 8, "targetModules": "all-linear", "learningRate": RATE, "lrSchedulerType": "linear",
    "warmupSteps": WARM_UP, "weightDecay": DECAY, "adamBeta1": 0.9, "adamBeta2": 0.999, "adamEpsilon": 1e-8,
    "maxGradNorm": 1.0, "perDeviceTrainBatchSize": 2, "gradientAccumulationSteps": 1, "numTrainEpochs": 1,
    "maxSteps": STEPS, "maxSeqLengthTokens": 512, "seed": 0, "saveSteps": 100,
}


def main():
    torch = calm_torch()
    torch.manual_seed(0)
    from transformers import AutoTokenizer, get_scheduler

    rows = encode_rows(AutoTokenizer.from_pretrained(FOLDER))
    base = load_bnb(torch, FOLDER)
    base.save_pretrained(FOLDER / "bnb-4bit")
    (FOLDER / "bnb-4bit" / "generation_config.json").unlink(missing_ok=True)
    model = load_adapted(torch, FOLDER, base).train()
    parameters = [p for _, p in sorted(model.named_parameters()) if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=DECAY, foreach=False)
    schedule = get_scheduler("linear", optimizer, num_warmup_steps=WARM_UP, num_training_steps=STEPS)
    batches = [BATCHES[step % len(BATCHES)] for step in range(STEPS)]
    losses = []
    for batch in batches:
        optimizer.zero_grad()
        loss = batch_loss(torch, model, [rows[i] for i in batch])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CONFIG["maxGradNorm"])
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    write_json(FOLDER / "golden-qlora.json", {"config": CONFIG, "batches": batches, "losses": f32_list(losses)})
    print(losses[0], losses[-1])


if __name__ == "__main__":
    main()
