"""A ``config.json`` that says little means what transformers' classes take for granted."""

from pathlib import Path

import pytest
from transformers import (
    AutoConfig,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
    SmolLM3Config,
)

from tissu_core.checkpoint.model_directory import from_hugging_face
from tissu_core.models.count import num_parameters
from tissu_core.models.families import family_of

COUNTS = {
    "vocab_size": 320,
    "hidden_size": 64,
    "intermediate_size": 48,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
WINDOWS = {"use_sliding_window": True, "sliding_window": 9}
LATE = {**WINDOWS, "max_window_layers": 4}
FILES: dict[str, tuple[type[PretrainedConfig], dict[str, object]]] = {
    "llama": (LlamaConfig, {}),
    "llama before groups": (LlamaConfig, {"num_key_value_heads": None}),
    "llama of one theta": (LlamaConfig, {"rope_theta": 100_000.0, "tie_word_embeddings": True}),
    "mistral": (MistralConfig, {}),
    "mistral without a window": (MistralConfig, {"sliding_window": None}),
    "qwen2": (Qwen2Config, {}),
    "qwen2 with late windows": (Qwen2Config, {**LATE}),
    "qwen2 deep": (Qwen2Config, {"num_hidden_layers": 30, **WINDOWS}),
    "qwen3 with late windows": (Qwen3Config, {"head_dim": 8, **LATE}),
    "smollm3": (SmolLM3Config, {}),
    "smollm3 of threes": (SmolLM3Config, {"no_rope_layer_interval": 3}),
    "smollm3 with windows": (SmolLM3Config, {**WINDOWS}),
    "phi3": (Phi3Config, {}),
    "phi3 long": (
        Phi3Config,
        {
            "max_position_embeddings": 16384,
            "original_max_position_embeddings": 4096,
            "rope_scaling": {
                "type": "longrope",
                "short_factor": [1.0] * 8,
                "long_factor": [2.0] * 8,
            },
        },
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_what_a_file_leaves_out_is_what_transformers_takes_it_for(name: str) -> None:
    made, said = FILES[name]
    table = {"model_type": name.split()[0], **COUNTS, **said}
    config = family_of(table).from_table(table)
    theirs = made(**{**COUNTS, **said})
    rope = theirs.rope_parameters
    assert config.num_key_value_heads == theirs.num_key_value_heads
    assert config.head_dim == getattr(theirs, "head_dim", 16)
    assert config.norm_eps == theirs.rms_norm_eps
    assert config.rope_theta == rope["rope_theta"]
    assert config.tie_word_embeddings == theirs.tie_word_embeddings
    window, layers = getattr(theirs, "sliding_window", None), config.num_hidden_layers
    kinds = getattr(theirs, "layer_types", None) or ["sliding_attention"] * layers
    windows = [window if kind == "sliding_attention" else None for kind in kinds]
    assert [layer.window for layer in config.layer_kinds] == windows
    if made is SmolLM3Config:
        assert [int(layer.has_rope) for layer in config.layer_kinds] == theirs.no_rope_layers
    if config.rope_scaling is not None:
        assert config.rope_scaling.rope_type == rope["rope_type"]
        original = config.rope_scaling.original_max_position_embeddings
        assert original == rope["original_max_position_embeddings"]


PUBLISHED = {
    "gemma-2-27b": {
        "model_type": "gemma2",
        "attn_logit_softcapping": 50.0,
        "cache_implementation": "hybrid",
        "final_logit_softcapping": 30.0,
        "head_dim": 128,
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 4608,
        "intermediate_size": 36864,
        "max_position_embeddings": 8192,
        "num_attention_heads": 32,
        "num_hidden_layers": 46,
        "num_key_value_heads": 16,
        "query_pre_attn_scalar": 144,
        "rope_theta": 10000.0,
        "sliding_window": 4096,
        "vocab_size": 256000,
    },
    "gemma-3-1b": {
        "model_type": "gemma3_text",
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
        "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 1152,
        "intermediate_size": 6912,
        "max_position_embeddings": 32768,
        "num_attention_heads": 4,
        "num_hidden_layers": 26,
        "num_key_value_heads": 1,
        "query_pre_attn_scalar": 256,
        "rope_local_base_freq": 10000,
        "rope_scaling": None,
        "rope_theta": 1000000,
        "sliding_window": 512,
        "sliding_window_pattern": 6,
        "vocab_size": 262144,
    },
    "gemma-3-4b": {
        "model_type": "gemma3",
        "text_config": {
            "hidden_size": 2560,
            "intermediate_size": 10240,
            "model_type": "gemma3_text",
            "num_hidden_layers": 34,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
            "sliding_window": 1024,
        },
    },
    "mixtral-8x7b": {
        "model_type": "mixtral",
        "hidden_act": "silu",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "max_position_embeddings": 32768,
        "num_attention_heads": 32,
        "num_experts_per_tok": 2,
        "num_hidden_layers": 32,
        "num_key_value_heads": 8,
        "num_local_experts": 8,
        "rope_theta": 1000000.0,
        "sliding_window": None,
        "vocab_size": 32000,
    },
}
PARAMETERS = {  # as their pages say; of gemma-3-4b without its eyes
    "gemma-2-27b": 27_227_128_320,
    "gemma-3-1b": 999_885_952,
    "gemma-3-4b": 3_880_263_168,
    "mixtral-8x7b": 46_702_792_704,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_a_published_file_leaves_out_means_what_it_means_to_transformers(name: str) -> None:
    table = PUBLISHED[name]
    theirs = AutoConfig.for_model(**table).to_dict()
    config = from_hugging_face(table, Path(name))
    assert config == from_hugging_face(theirs, Path(name))
    assert num_parameters(config) == PARAMETERS[name]
