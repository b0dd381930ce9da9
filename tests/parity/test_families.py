"""Shapes that other programs know open in transformers with the same logits; and the way back."""

import json
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    MptConfig,
    MptForCausalLM,
    PreTrainedModel,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from tests.samples import CPU, MIXED_TEXTS, iter_choices, make_config, make_model, random_ids
from tissu_core.checkpoint.model_directory import load_model, write_model_files
from tissu_core.config.decoding import DecodingConfig
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


@pytest.mark.parametrize("name", SHAPES)
def test_greedy_ids_are_those_of_transformers(
    name: str, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """The cache, rolling where there is a window, against theirs."""
    model = make_model(make_config(**SHAPES[name]), seed=5)
    write_model_files(tmp_path, model, tiny_tokenizer)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    theirs.generation_config.eos_token_id = None
    theirs.generation_config.pad_token_id = 1
    prompt = random_ids(1, 12, seed=4)
    config = DecodingConfig(greedy=True)
    ours = [choice.token_id for choice in iter_choices(model, prompt[0].tolist(), config, 40)]
    expected = theirs.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        do_sample=False,
        temperature=None,
        max_new_tokens=40,
    )
    assert ours == expected[0, 12:].tolist()


SIZES = {"vocab_size": 320, "initializer_range": 0.15}
LLAMA_SIZES = SIZES | {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
THEIRS = {
    "llama": lambda: LlamaForCausalLM(
        LlamaConfig(**LLAMA_SIZES, attention_bias=True, mlp_bias=True)
    ),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**LLAMA_SIZES, sliding_window=9)),
    "qwen3": lambda: Qwen3ForCausalLM(
        Qwen3Config(
            **LLAMA_SIZES,
            head_dim=8,
            use_sliding_window=True,
            sliding_window=9,
            max_window_layers=0,
        )
    ),
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(**SIZES, n_embd=32, n_layer=2, n_head=4, n_positions=64)
    ),
    "mpt": lambda: MptForCausalLM(
        MptConfig(**SIZES, d_model=32, n_layers=2, n_heads=4, max_seq_len=64)
    ),
}


@pytest.mark.parametrize("name", THEIRS)
def test_a_model_saved_by_transformers_is_read_with_its_logits(
    name: str, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    theirs: PreTrainedModel = THEIRS[name]().eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in theirs.parameters():
            if parameter.ndim == 1:
                parameter.uniform_(0.5, 1.5, generator=generator)
    theirs.save_pretrained(tmp_path)
    tiny_tokenizer.save(tmp_path, 64)
    loaded = load_model(tmp_path, CPU)
    ids = random_ids(2, 40)
    with torch.no_grad():
        assert (loaded.model(ids) - theirs(ids).logits).abs().max() < 1e-4


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
