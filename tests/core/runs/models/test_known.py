"""What is told of well-known models follows from their shapes."""

import pytest

from tissu_core.models.count import num_parameters
from tissu_core.models.families import family_of
from tissu_core.runs.models.known import KNOWN_MODELS


def shape(kind: str, width: int, inner: int, layers: int, heads: int, kv: int) -> dict[str, object]:
    return {
        "model_type": kind,
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "max_position_embeddings": 1024,
        "vocab_size": 49152,
        "tie_word_embeddings": True,
    }


QWEN3 = {"head_dim": 128, "vocab_size": 151936}
# As published: arXiv:2502.02737, table 8, and the models' cards; arXiv:2505.09388, table 1.
SHAPES = {
    "smollm2": shape("llama", 576, 1536, 30, 9, 3),
    "smollm2-360m": shape("llama", 960, 2560, 32, 15, 5),
    "smollm2-1.7b": shape("llama", 2048, 8192, 24, 32, 32),
    "qwen3-0.6b": shape("qwen3", 1024, 3072, 28, 16, 8) | QWEN3,
    "qwen3-1.7b": shape("qwen3", 2048, 6144, 28, 16, 8) | QWEN3,
    "gpt2": {
        "model_type": "gpt2",
        "n_embd": 768,
        "n_layer": 12,
        "n_head": 12,
        "n_positions": 1024,
        "vocab_size": 50257,
    },
}


@pytest.mark.parametrize("model", KNOWN_MODELS, ids=lambda model: model.name)
def test_parameters_follow_from_the_shape(model) -> None:  # type: ignore[no-untyped-def]
    table = SHAPES[model.name]
    assert num_parameters(family_of(table).from_table(table)) == model.num_parameters
