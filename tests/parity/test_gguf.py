"""A model as GGUF is the model of its Hugging Face directory: configuration, tensors, logits."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

from tests.gguf_files import Q8_0, write_gguf
from tests.samples import CPU, random_ids
from tissu_core.checkpoint.gguf.model import GgufModel
from tissu_core.checkpoint.model_directory import load_model
from tissu_core.errors import InputError
from tissu_core.text.tokenizer import Tokenizer

SIZES = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 64,
    "initializer_range": 0.15,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "pad_token_id": 0,
}
FACTS = {
    "embedding_length": 32,
    "feed_forward_length": 64,
    "context_length": 64,
    "attention.head_count": 4,
    "attention.head_count_kv": 2,
    "attention.key_length": 16,
    "attention.value_length": 16,
    "attention.layer_norm_rms_epsilon": 1e-5,
    "rope.dimension_count": 16,
    "rope.freq_base": 70_000.0,
}
SHAPES = {"rope_theta": 70_000.0} | {name: SIZES[name] for name in list(SIZES)[:8]}
ROPE = {"rope_type": "default", "rope_theta": 70_000.0}
GEMMA = {"tie_word_embeddings": True, "sliding_window": 9, "query_pre_attn_scalar": 16}
CAPS = {"attn_logit_softcapping": 40.0, "final_logit_softcapping": 20.0}
GEMMA3_ROPE = {
    "full_attention": ROPE,
    "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
}
GPT2_FACTS = {
    "embedding_length": 32,
    "feed_forward_length": 128,
    "context_length": 64,
    "attention.head_count": 4,
    "attention.layer_norm_epsilon": 1e-5,
}


def llama_like(kind: str, **more: Any) -> Callable[[], PreTrainedModel]:
    config = getattr(transformers, f"{kind}{'TextConfig' if kind == 'Gemma3' else 'Config'}")
    model = getattr(transformers, f"{kind}ForCausalLM")
    return lambda: model(config(**SIZES | {"rope_parameters": ROPE} | more))


def gpt2() -> PreTrainedModel:
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "vocab_size": 320}
    config = transformers.GPT2Config(**sizes, initializer_range=0.15)
    return transformers.GPT2LMHeadModel(config)


def mpt() -> PreTrainedModel:
    sizes = {"d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 64, "vocab_size": 320}
    return transformers.MptForCausalLM(transformers.MptConfig(**sizes, initializer_range=0.15))


CASES: dict[str, tuple[str, Callable[[], PreTrainedModel], dict[str, Any], dict[str, Any]]] = {
    # name: (GGUF's architecture, their model, more facts, what config.json then says)
    "llama": ("llama", llama_like("Llama"), {}, {"attention_bias": False}),
    "llama tied": ("llama", llama_like("Llama", tie_word_embeddings=True), {}, {}),
    "llama biased": (
        "llama",
        llama_like("Llama", attention_bias=True, mlp_bias=True),
        {},
        {"attention_bias": True},
    ),
    "qwen2": ("qwen2", llama_like("Qwen2"), {}, {"use_sliding_window": False}),
    "qwen3": ("qwen3", llama_like("Qwen3"), {}, {"use_sliding_window": False}),
    "smollm3": ("smollm3", llama_like("SmolLM3"), {}, {"no_rope_layers": [1, 1]}),
    "phi3": (
        "phi3",
        llama_like("Phi3", hidden_size=64, sliding_window=9),
        {"attention.sliding_window": 9, "embedding_length": 64},
        {"hidden_size": 64, "sliding_window": 9},
    ),
    "mixtral": (
        "llama",
        llama_like("Mixtral", num_local_experts=4, num_experts_per_tok=2),
        {"expert_count": 4, "expert_used_count": 2},
        {"num_local_experts": 4, "num_experts_per_tok": 2},
    ),
    "gemma2": (
        "gemma2",
        llama_like("Gemma2", **GEMMA, **CAPS),
        {"attention.sliding_window": 9, **CAPS},
        {"sliding_window": 9, "query_pre_attn_scalar": 16, **CAPS},
    ),
    "gemma3_text": (
        "gemma3",
        llama_like("Gemma3", **GEMMA, num_hidden_layers=7, rope_parameters=GEMMA3_ROPE),
        {"attention.sliding_window": 9},
        {
            "num_hidden_layers": 7,
            "rope_local_base_freq": 10_000.0,
            "layer_types": [*["sliding_attention"] * 5, "full_attention", "sliding_attention"],
        },
    ),
    "gpt2": ("gpt2", gpt2, {}, {"n_embd": 32, "n_inner": 128, "n_positions": 64}),
    "mpt": ("mpt", mpt, {"attention.max_alibi_bias": 8.0}, {"d_model": 32, "expansion_ratio": 4}),
}


@pytest.fixture
def saved(tmp_path: Path, tiny_tokenizer: Tokenizer) -> Callable[..., tuple[Path, Path]]:
    """Saves a random model as directory and as GGUF."""

    def save(name: str, **options: Any) -> tuple[Path, Path]:
        architecture, build, facts, _ = CASES[name]
        model = build().eval()
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 1:
                    parameter.uniform_(0.5, 1.5, generator=generator)
        model.save_pretrained(tmp_path / "theirs")
        tiny_tokenizer.save(tmp_path / "theirs", 64)
        shared = GPT2_FACTS if name in ("gpt2", "mpt") else FACTS
        file = write_gguf(
            tmp_path / "model.gguf",
            tmp_path / "theirs",
            architecture,
            shared | facts,
            tokenizer=tiny_tokenizer,
            **options,
        )
        return tmp_path / "theirs", file

    return save


@pytest.mark.parametrize("name", CASES)
def test_configuration_and_tensors_are_those_of_the_directory(
    name: str, saved: Callable[..., tuple[Path, Path]]
) -> None:
    directory, file = saved(name)
    model = GgufModel.open(file)
    said = {} if name in ("gpt2", "mpt") else SHAPES
    expected = {"model_type": name.split()[0]} | said | CASES[name][3]
    assert {key: model.table[key] for key in expected} == expected
    theirs = json.loads((directory / "config.json").read_text())
    assert model.table["tie_word_embeddings"] == theirs.get("tie_word_embeddings", True)
    tensors = load_file(directory / "model.safetensors")
    found = model.load()
    assert found.keys() == tensors.keys()
    for key, tensor in tensors.items():
        torch.testing.assert_close(found[key], tensor, rtol=0, atol=2e-7, msg=key)


@pytest.mark.parametrize("name", CASES)
def test_logits_are_those_of_the_directory(
    name: str, saved: Callable[..., tuple[Path, Path]]
) -> None:
    directory, file = saved(name)
    ours, theirs = load_model(file, CPU), AutoModelForCausalLM.from_pretrained(directory).eval()
    ids = random_ids(2, 40)
    with torch.no_grad():
        assert (ours.model(ids) - theirs(ids).logits).abs().max() < 1e-4
        assert torch.equal(ours.model(ids), load_model(directory, CPU).model(ids))
    assert ours.end_ids == {0, 3}


@pytest.mark.parametrize("name", ["llama", "qwen3"])
def test_logits_of_packed_weights_are_those_of_another_reader(
    name: str, saved: Callable[..., tuple[Path, Path]]
) -> None:
    """transformers opens the same file with code of its own."""
    directory, file = saved(name, kind=Q8_0)
    theirs = AutoModelForCausalLM.from_pretrained(directory).eval()
    read = load_gguf_checkpoint(str(file), return_tensors=True, model_to_load=theirs)
    theirs.load_state_dict(read["tensors"])
    ours = load_model(file, CPU).model
    assert GgufModel.open(file).tensors["model.layers.0.mlp.up_proj.weight"].dtype == "Q8_0"
    ids = random_ids(2, 40)
    with torch.no_grad():
        assert (ours(ids) - theirs(ids).logits).abs().max() < 1e-4


def test_rope_factors_of_llama3_are_told_as_their_rule(
    saved: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    from gguf import GGUFWriter
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    from tests.gguf_files import close

    rule = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    config = transformers.LlamaConfig(
        **SIZES | {"max_position_embeddings": 16_384, "head_dim": 64},
        rope_parameters=rule | {"rope_theta": 5e5},
    )
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, CPU)
    plain = 5e5 ** -(torch.arange(0, 64, 2) / 64)
    for factors, is_known in ((plain / scaled, True), (plain / scaled + 0.01, False)):
        path = tmp_path / "scaled.gguf"
        writer = GGUFWriter(path, "llama")
        for key in ("embedding_length", "feed_forward_length", "context_length"):
            writer.add_uint32(f"llama.{key}", 256)
        writer.add_uint32("llama.block_count", 1)
        writer.add_uint32("llama.attention.head_count", 4)
        writer.add_float32("llama.rope.freq_base", 5e5)
        for name in ("token_embd", "blk.0.attn_norm"):
            writer.add_tensor(f"{name}.weight", torch.zeros(2, 256).numpy())
        writer.add_tensor("rope_freqs.weight", factors.float().numpy())
        close(writer)
        if is_known:
            found = GgufModel.open(path).table["rope_scaling"]
            assert found == rule | {"factor": pytest.approx(8.0)}
        else:
            with pytest.raises(InputError, match=r"rope_freqs\.weight is 1\.01 at 0"):
                GgufModel.open(path)
