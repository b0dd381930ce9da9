"""A ``config.json`` that says little means what transformers' classes take for granted."""

import pytest
from transformers import (
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
    SmolLM3Config,
)

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
