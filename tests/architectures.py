"""Small random models of every foreign architecture, as transformers builds and saves them.

Layers, windows and stretched rotations all change the logits of 40 tokens: the parity tests check
it. Norms and biases are not what they begin as, and every rotation has a base of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import PreTrainedModel

from tests.samples import VOCAB_SIZE
from tissu_core.text.tokenizer import Tokenizer

TIME = 40
SIZES = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.15,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
ROPE = {"rope_type": "default", "rope_theta": 70_000.0}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 1000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 16,
}
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10_000.0,
    "short_factor": [1.0, 1.5, 2.0],
    "long_factor": [1.0, 2.5, 6.0],
    "partial_rotary_factor": 0.75,
}
WINDOWS = {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 2}
GEMMA = {"head_dim": 12, "query_pre_attn_scalar": 12, "sliding_window": 7}
TIED = {"tie_word_embeddings": True}
GEMMA3_LAYERS = {"num_hidden_layers": 7} | TIED
CAPS = {"attn_logit_softcapping": 0.75, "final_logit_softcapping": 3.0}
NO_CAPS = dict.fromkeys(CAPS)
GEMMA3_ROPE = {
    "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 5000.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
}
GPT2 = {"n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 64}
MPT = {"d_model": 32, "n_layers": 4, "n_heads": 4, "max_seq_len": 64}
FEW = {name: SIZES[name] for name in ("vocab_size", "initializer_range")}
SIGHT = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}


@dataclass(frozen=True)
class Sample:
    """A model of transformers' with random weights."""

    build: Callable[[], PreTrainedModel]
    gguf: str | None
    """llama.cpp's name of the architecture; none where it does not compute this shape."""


def _sample(kind: str, gguf: str | None = None, **more: Any) -> Sample:
    config = getattr(transformers, f"{kind}{'TextConfig' if kind == 'Gemma3' else 'Config'}")
    model = getattr(transformers, f"{kind}LMHeadModel" if kind == "GPT2" else f"{kind}ForCausalLM")
    shared = FEW if kind in ("GPT2", "Mpt") else SIZES | {"rope_parameters": ROPE}
    return Sample(lambda: model(config(**shared | more)), gguf)


def _with_eyes() -> PreTrainedModel:
    text = transformers.Gemma3TextConfig(
        **SIZES | GEMMA | GEMMA3_LAYERS | {"rope_parameters": GEMMA3_ROPE}
    )
    sight = transformers.SiglipVisionConfig(**SIGHT)
    config = transformers.Gemma3Config(text_config=text, vision_config=sight, mm_tokens_per_image=4)
    return transformers.Gemma3ForConditionalGeneration(config)


ARCHITECTURES = {
    "gpt2": _sample("GPT2", "gpt2", **GPT2),
    "llama": _sample("Llama", "llama"),
    "llama biased": _sample("Llama", "llama", attention_bias=True, mlp_bias=True),
    "llama 3": _sample(
        "Llama",
        "llama",
        head_dim=16,
        rope_parameters=LLAMA3 | {"original_max_position_embeddings": 8192},
    ),
    "llama 3 short": _sample(
        "Llama", rope_parameters=LLAMA3 | {"original_max_position_embeddings": 16}
    ),
    "smollm2": _sample("Llama", "llama", **TIED),
    "smollm3": _sample("SmolLM3", "smollm3", **TIED),
    "smollm3 windowed": _sample("SmolLM3", no_rope_layer_interval=2, **WINDOWS),
    "mistral": _sample("Mistral", "llama", sliding_window=7),
    "qwen2": _sample("Qwen2", "qwen2"),
    "qwen2 windowed": _sample("Qwen2", **WINDOWS),
    "qwen2 yarn": _sample("Qwen2", "qwen2", rope_parameters=YARN),
    "qwen3": _sample("Qwen3", "qwen3", head_dim=12),
    "qwen3 windowed": _sample("Qwen3", head_dim=12, **WINDOWS),
    "gemma2": _sample("Gemma2", "gemma2", **GEMMA, **CAPS, **TIED),
    "gemma2 uncapped": _sample("Gemma2", **GEMMA | {"query_pre_attn_scalar": 40}, **NO_CAPS),
    "gemma3_text": _sample(
        "Gemma3", "gemma3", **GEMMA, **GEMMA3_LAYERS, rope_parameters=GEMMA3_ROPE
    ),
    "gemma3": Sample(_with_eyes, None),
    "phi3": _sample("Phi3", "phi3", sliding_window=7),
    "phi3 long": _sample(
        "Phi3", "phi3", rope_parameters=LONGROPE, original_max_position_embeddings=16
    ),
    "mixtral": _sample("Mixtral", "llama", num_local_experts=4, num_experts_per_tok=2),
    "mixtral windowed": _sample(
        "Mixtral", "llama", num_local_experts=3, num_experts_per_tok=1, sliding_window=7
    ),
    "mpt": _sample("Mpt", "mpt", **MPT),
}


def build(name: str) -> PreTrainedModel:
    """A model in which every norm and bias does something."""
    model = ARCHITECTURES[name].build().eval()
    model.set_attn_implementation("eager")  # the one way that computes caps
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter += torch.rand(parameter.shape, generator=generator) - 0.4
    return model


def save(name: str, folder: Path, tokenizer: Tokenizer) -> PreTrainedModel:
    """The model, which is then in a directory as transformers leaves it."""
    model = build(name)
    model.save_pretrained(folder)
    tokenizer.save(folder, 64)
    return model
