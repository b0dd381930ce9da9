"""Shapes that other programs know open in transformers with the same logits; and the way back."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.architectures import save
from tests.samples import CPU, MIXED_TEXTS, make_config, make_model, random_ids
from tissu_core.checkpoint.model_directory import load_model, write_model_files
from tissu_core.checkpoint.weights import load_tensors, save_tensors
from tissu_core.config.rope import RopeScaling
from tissu_core.text.tokenizer import Tokenizer

GPT2 = {
    "norm": "layernorm",
    "norm_eps": 1e-5,
    "feed_forward": "gelu_tanh",
    "position_embedding": "learned",
    "qk_norm": False,
    "use_bias": True,
    "num_key_value_heads": 4,
}
MPT = {
    "norm": "layernorm",
    "norm_eps": 1e-5,
    "feed_forward": "gelu",
    "position_embedding": "alibi",
    "qk_norm": False,
    "num_key_value_heads": 4,
    "intermediate_size": 128,
}
SOME_WINDOWS = {"sliding_window": 7, "sliding_layers": (1,)}
SCALINGS = {
    "linear": RopeScaling(rope_type="linear", factor=4.0),
    "llama3": RopeScaling(rope_type="llama3", factor=8.0, original_max_position_embeddings=32),
    "yarn": RopeScaling(rope_type="yarn", factor=4.0, original_max_position_embeddings=16),
    "longrope": RopeScaling(
        rope_type="longrope",
        factor=4.0,  # 64 / 16
        original_max_position_embeddings=16,
        short_factor=(1.0, 1.1, 1.3, 2.0),
        long_factor=(1.0, 1.7, 3.0, 4.5),
    ),
}
SHAPES = {
    "qwen3": {},
    "qwen3 windowed": {"sliding_window": 7},
    "llama": {"qk_norm": False},
    "llama biased": {"qk_norm": False, "use_bias": True, "tie_word_embeddings": True},
    "mistral": {"qk_norm": False, "sliding_window": 7},
    "gpt2": GPT2 | {"tie_word_embeddings": True},
    "gpt2 untied": GPT2,
    "gpt2 relu": GPT2 | {"feed_forward": "relu"},
    "gpt2 relu2": GPT2 | {"feed_forward": "relu2"},
    "gpt2 gelu": GPT2 | {"feed_forward": "gelu"},
    "qwen2": {"qk_norm": False, "projection_bias": ("qkv",)},
    "qwen2 windowed": {"qk_norm": False, "projection_bias": ("qkv",)} | SOME_WINDOWS,
    "qwen3 windowed in some": {} | SOME_WINDOWS,
    "qwen3 biased": {"projection_bias": ("qkv", "o")},
    "llama biased attention": {"qk_norm": False, "projection_bias": ("qkv", "o")},
    "llama linear": {"qk_norm": False, "rope_scaling": SCALINGS["linear"]},
    "llama llama3": {"qk_norm": False, "rope_scaling": SCALINGS["llama3"], "rope_theta": 5e5},
    "llama yarn": {"qk_norm": False, "rope_scaling": SCALINGS["yarn"]},
    "smollm3": {"qk_norm": False, "rope_layers": (0,), "rope_theta": 2e6},
    "smollm3 windowed": {"qk_norm": False, "rope_layers": (0,)} | SOME_WINDOWS,
    "phi3": {"qk_norm": False, "rope_scaling": SCALINGS["longrope"]},
    "phi3 partial": {
        "qk_norm": False,
        "head_dim": 16,
        "num_attention_heads": 2,
        "partial_rotary_factor": 0.5,
        "rope_scaling": SCALINGS["longrope"],
        "tie_word_embeddings": True,
    },
    "mpt": MPT | {"tie_word_embeddings": True},
    "mpt untied": MPT,
    "mpt six heads": MPT
    | {"num_attention_heads": 6, "num_key_value_heads": 6, "hidden_size": 48}
    | {"intermediate_size": 192},
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_saved_shape_has_the_logits_of_transformers(
    name: str, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = make_model(make_config(**SHAPES[name]), seed=5)
    write_model_files(tmp_path, model, tiny_tokenizer)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == name.split()[0]
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    ids = random_ids(2, 40)
    with torch.no_grad():
        assert (model(ids) - theirs(ids).logits).abs().max() < 1e-4
    if name.startswith("qwen2"):  # whose tokenizer transformers builds anew, by its own rules
        return
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    for text in MIXED_TEXTS:
        expected = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        assert expected == tiny_tokenizer.encode(text)


@pytest.mark.parametrize("name", SHAPES)
def test_a_saved_shape_comes_back_to_the_bit(
    name: str, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = make_model(make_config(**SHAPES[name]), seed=5)
    write_model_files(tmp_path, model, tiny_tokenizer)
    loaded = load_model(tmp_path, CPU).model
    assert loaded.config == model.config
    for key, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], tensor), key


def test_gpt2_is_read_as_it_was_published(tiny_tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Names without their first part, causal masks among the weights, and no head."""
    theirs = save("gpt2", tmp_path, tiny_tokenizer)
    path = tmp_path / "model.safetensors"
    tensors = {name.removeprefix("transformer."): t for name, t in load_tensors(path).items()}
    tensors.pop("lm_head.weight", None)
    for layer in range(4):
        tensors[f"h.{layer}.attn.bias"] = torch.ones(1, 1, 64, 64).tril()
        tensors[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    save_tensors(path, tensors)
    ids = random_ids(2, 40)
    with torch.no_grad():
        assert (load_model(tmp_path, CPU).model(ids) - theirs(ids).logits).abs().max() < 1e-4


def test_frequencies_among_the_weights_are_left(tiny_tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = make_model(make_config(**SHAPES["llama"]))
    write_model_files(tmp_path, model, tiny_tokenizer)
    path = tmp_path / "model.safetensors"
    old = {f"model.layers.{n}.self_attn.rotary_emb.inv_freq": torch.ones(4) for n in range(2)}
    save_tensors(path, load_tensors(path) | old)
    ids = random_ids(1, 9)
    with torch.no_grad():
        assert torch.equal(load_model(tmp_path, CPU).model(ids), model(ids))


def test_a_shape_that_no_other_program_knows_is_tissus_own(
    tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    config = make_config(feed_forward="relu2", position_embedding="sinusoidal", sliding_window=5)
    model = make_model(config)
    write_model_files(tmp_path, model, tiny_tokenizer)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "tissu"
    loaded = load_model(tmp_path, CPU).model
    assert loaded.config == config
    ids = random_ids(1, 30)
    with torch.no_grad():
        assert torch.equal(loaded(ids), model(ids))
