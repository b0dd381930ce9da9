"""Stretched rotations: transformers' frequencies, and their spellings."""

import pytest
import torch
from transformers import LlamaConfig, Phi3Config
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from tests.samples import CPU
from tissu_core.config.model import ModelConfig
from tissu_core.config.rope import RopeScaling
from tissu_core.errors import ConfigError
from tissu_core.layers.rope import rope_tables
from tissu_core.models.families import family_of

LONG = {"short_factor": [1.0, 1.5, 2.0, 2.5] * 4, "long_factor": [1.0, 3.0, 6.0, 12.0] * 4}
SCALINGS = {
    "linear": {"rope_type": "linear", "factor": 3.5},
    "llama3": {
        "rope_type": "llama3",
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 512,
    },
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512},
    "yarn, all said": {
        "rope_type": "yarn",
        "factor": 4.0,
        "original_max_position_embeddings": 512,
        "beta_fast": 24.0,
        "beta_slow": 2.0,
        "truncate": False,
        "attention_factor": 1.25,
    },
    "longrope": {"rope_type": "longrope", **LONG},
    "longrope, all said": {"rope_type": "longrope", "attention_factor": 1.25, **LONG},
}
SIZES = {
    "vocab_size": 320,
    "hidden_size": 128,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 2048,
}


def read(name: str, spelling: str) -> ModelConfig:
    """The shape of a file with this scaling, as files of some age spell it."""
    rope = dict(SCALINGS[name])
    is_phi = rope["rope_type"] == "longrope"
    table = {"model_type": "phi3" if is_phi else "llama", **SIZES}
    if is_phi:
        table["original_max_position_embeddings"] = 512
    if spelling == "new":
        table["rope_parameters"] = {**rope, "rope_theta": 50_000.0}
    else:
        if spelling == "oldest":
            rope["type"] = "su" if is_phi else rope["rope_type"]  # Phi-3's first word for it
            del rope["rope_type"]
        table |= {"rope_theta": 50_000.0, "rope_scaling": rope}
    return family_of(table).from_table(table)


@pytest.mark.parametrize("is_long", [False, True])
@pytest.mark.parametrize("name", SCALINGS)
def test_angles_are_those_of_transformers(name: str, *, is_long: bool) -> None:
    kind, rope = str(SCALINGS[name]["rope_type"]), {**SCALINGS[name], "rope_theta": 50_000.0}
    theirs = (Phi3Config if kind == "longrope" else LlamaConfig)(
        **SIZES, rope_parameters=rope, **_original(kind)
    )
    frequencies, scale = ROPE_INIT_FUNCTIONS[kind](theirs, CPU, seq_len=600 if is_long else 20)
    config = read(name, "new")
    assert config.rope_scaling is not None
    cos, sin = rope_tables(2048, 32, config.rope_theta, CPU, config.rope_scaling, is_long=is_long)
    angles = torch.outer(torch.arange(2048).float(), frequencies)
    torch.testing.assert_close(cos, angles.cos() * scale, atol=2e-4, rtol=0)
    torch.testing.assert_close(sin, angles.sin() * scale, atol=2e-4, rtol=0)


def _original(kind: str) -> dict[str, int]:
    return {"original_max_position_embeddings": 512} if kind == "longrope" else {}


@pytest.mark.parametrize("name", SCALINGS)
def test_every_spelling_is_read_alike_and_written_so_that_it_comes_back(name: str) -> None:
    config = read(name, "new")
    assert read(name, "old") == read(name, "oldest") == config
    for model_type in ("phi3", "llama", "tissu"):
        family = family_of({"model_type": model_type})
        speaks = model_type == "tissu" or (model_type == "phi3") == ("longrope" in name)
        assert family.expresses(config) == speaks, model_type


@pytest.mark.parametrize(
    "wrong",
    [
        {"rope_type": "ntk"},
        {"factor": 0},
        {"factor": float("nan")},
        {"factor": "4"},
        {"factor": 10**400},
        {"original_max_position_embeddings": None},
        {"original_max_position_embeddings": 1},
        {"low_freq_factor": 4.0},
        {"attention_factor": -1},
        {"short_factor": (1.0, "x")},
    ],
)
def test_numbers_that_cannot_be_computed_with_are_refused(wrong: dict[str, object]) -> None:
    fine: dict[str, object] = {
        "rope_type": "yarn",
        "factor": 2.0,
        "original_max_position_embeddings": 8,
    }
    RopeScaling(**fine)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        RopeScaling(**{**fine, **wrong})  # type: ignore[arg-type]
