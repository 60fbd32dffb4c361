"""The tiny random models of the fixtures and of parity runs: tokenizer, weights in bf16, LoRA adapter."""

import json
import shutil

import numpy as np

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + "
    "'<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
VOCABULARY = 384
LORA = {"r": 4, "lora_alpha": 8, "lora_dropout": 0.0, "bias": "none", "task_type": "CAUSAL_LM"}
LINEARS = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
SENTENCES = [
    "Write a product description for a stainless steel kettle that holds 1.7 litres.",
    "The kettle boils quickly, pours cleanly and keeps its warmth on the coldest morning.",
    "Describe a pair of wool hiking socks, size 42, in two short sentences.",
    "Soft merino wool keeps your feet dry and warm; the reinforced heel lasts for years.",
    "What is the capacity of the blue enamel coffee pot?",
    "It holds 12 cups and the handle stays cool while you pour.",
    "system user assistant\nYou are a careful assistant. Answer in one sentence.\n",
]


def make_tokenizer(folder):
    """Trains a byte-level BPE with single digits split off and writes tokenizer.json and tokenizer_config.json."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    if tokenizer.get_vocab_size() != VOCABULARY:
        raise SystemExit(f"tokenizer has {tokenizer.get_vocab_size()} tokens, expected {VOCABULARY}")
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "pad_token": "<|im_end|>",
        "unk_token": "<|endoftext|>",
        "add_bos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 512,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")


def _draw(random, name, shape):
    """Scales at which attention, gates and logits are far from uniform; norms differ from one."""
    if "norm" in name:
        return 1.0 + 0.2 * random.standard_normal(shape)
    if name.endswith("bias"):
        return 0.5 * random.standard_normal(shape)
    if "embed" in name:
        return 0.25 * random.standard_normal(shape)
    # Rows of different scale, so that an absmax taken from the wrong block is seen.
    rows = np.exp(0.5 * random.standard_normal((shape[0], 1)))
    return rows * random.standard_normal(shape) * 1.3 / np.sqrt(shape[1])


def make_checkpoint(torch, folder, seed=11):
    """Writes config.json and model.safetensors (bf16) with transformers' own save."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=512,
        rms_norm_eps=1e-5, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, pad_token_id=2,
        rope_theta=10000.0,
    )
    model = LlamaForCausalLM(config).to(torch.bfloat16)
    random = np.random.default_rng(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(_draw(random, name, tuple(parameter.shape)).astype(np.float32)))
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)


def load_base(torch, folder):
    """The checkpoint widened to float32, plain attention."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def load_bnb(torch, folder):
    """The checkpoint with its linear layers in NF4 by bitsandbytes (blocks of 64, double quantization), computing in float32.

    In training mode: evaluation repacks the weights into bfloat16 on some CPUs.
    """
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                                bnb_4bit_compute_dtype=torch.float32)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager",
                                                quantization_config=config, device_map="cpu").train()


def make_adapter(torch, folder, seed=12):
    """Writes adapter/ with PEFT's own save: A uniform in ±1/sqrt(in), B normal (0.05), so that nothing is zero."""
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(load_base(torch, folder), LoraConfig(target_modules=LINEARS, **LORA))
    random = np.random.default_rng(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            shape = tuple(parameter.shape)
            if "lora_A" in name:
                values = random.uniform(-1, 1, shape) / np.sqrt(shape[1])
            elif "lora_B" in name:
                values = 0.05 * random.standard_normal(shape)
            else:
                continue
            parameter.copy_(torch.from_numpy(values.astype(np.float32)))
    model.peft_config["default"].base_model_name_or_path = folder.name
    shutil.rmtree(folder / "adapter", ignore_errors=True)
    model.save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").unlink(missing_ok=True)
    path = folder / "adapter" / "adapter_config.json"
    config = json.loads(path.read_text())
    config["target_modules"] = sorted(config["target_modules"])
    path.write_text(json.dumps(config, indent=2) + "\n")


def load_adapted(torch, folder, base=None):
    """Base plus the adapter, adapter trainable."""
    from peft import PeftModel

    base = load_base(torch, folder) if base is None else base
    return PeftModel.from_pretrained(base, folder / "adapter", is_trainable=True)


#: Families that differ from plain Llama; lengths of tests cross the window and the original context.
FAMILIES = {
    "tiny-llama3": {"family": "Llama", "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4,
                    "num_key_value_heads": 2, "head_dim": 16, "tie_word_embeddings": True,
                    "rope_parameters": {"rope_theta": 500000.0, "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                                        "high_freq_factor": 4.0, "original_max_position_embeddings": 32}},
    "tiny-mistral": {"family": "Mistral", "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4,
                     "num_key_value_heads": 2, "head_dim": 8, "tie_word_embeddings": False, "sliding_window": 16,
                     "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"}},
    "tiny-qwen2": {"family": "Qwen2", "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4,
                   "num_key_value_heads": 2, "tie_word_embeddings": True, "use_sliding_window": False,
                   "rope_parameters": {"rope_theta": 1000000.0, "rope_type": "default"}},
}

#: Random checkpoints of parity runs: head counts, head sizes, RoPE bases and ties that differ from SmolLM2's.
TINY_SHAPES = {
    "tiny grouped heads": {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 2,
                           "head_dim": 16, "tie_word_embeddings": True, "rope_theta": 10000.0},
    "tiny own head": {"hidden_size": 96, "intermediate_size": 200, "num_attention_heads": 6, "num_key_value_heads": 6,
                      "head_dim": 16, "tie_word_embeddings": False, "rope_theta": 500000.0},
    "tiny one key head": {"hidden_size": 80, "intermediate_size": 144, "num_attention_heads": 5, "num_key_value_heads": 1,
                          "head_dim": 32, "tie_word_embeddings": True, "rope_theta": 100000.0},
    "tiny linear rope": {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2,
                         "tie_word_embeddings": True,
                         "rope_parameters": {"rope_theta": 10000.0, "rope_type": "linear", "factor": 4.0}},
} | FAMILIES


def make_random_checkpoint(torch, folder, shape, layers=3, seed=17):
    """A checkpoint in bf16 as transformers writes it, with the tokenizer of the fixtures."""
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    make_tokenizer(folder)
    options = {key: value for key, value in shape.items() if key != "family"}
    family = shape.get("family", "Llama")
    config = getattr(transformers, f"{family}Config")(
        vocab_size=VOCABULARY, num_hidden_layers=layers, max_position_embeddings=512, rms_norm_eps=1e-5,
        bos_token_id=1, eos_token_id=2, pad_token_id=2, **options)
    model = getattr(transformers, f"{family}ForCausalLM")(config).to(torch.bfloat16)
    random = np.random.default_rng(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(_draw(random, name, tuple(parameter.shape)).astype(np.float32)))
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
