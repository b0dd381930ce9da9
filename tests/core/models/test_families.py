"""A foreign ``config.json`` that asks for what is not computed is refused by name, not ignored."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFWriter

from tests.gguf_files import close
from tests.samples import CPU
from tissu_core.checkpoint.fill import refuse_packing
from tissu_core.checkpoint.model_directory import from_hugging_face, load_model
from tissu_core.errors import InputError

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 128_256,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131_072,
    "rope_theta": 500_000.0,
}
QWEN3 = LLAMA | {"model_type": "qwen3", "head_dim": 64}
MPT: dict[str, Any] = {
    "model_type": "mpt",
    "vocab_size": 50_432,
    "d_model": 512,
    "n_layers": 4,
    "n_heads": 8,
    "max_seq_len": 2048,
}
GPT2: dict[str, Any] = {
    "model_type": "gpt2",
    "vocab_size": 50_257,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_positions": 1024,
}
GEMMA3: dict[str, Any] = {
    "model_type": "gemma3_text",
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
    "rope_theta": 1000000,
    "sliding_window": 512,
    "sliding_window_pattern": 6,
    "vocab_size": 262144,
}


def read(table: dict[str, Any]) -> None:
    from_hugging_face(table, Path("here"))
    refuse_packing(table, Path("here"))


@pytest.mark.parametrize("table", [LLAMA, QWEN3, MPT, GPT2, GEMMA3], ids=lambda t: t["model_type"])
def test_without_the_changes_below_it_is_read(table: dict[str, Any]) -> None:
    read(table)
    read(table | {"logits_scaling": 1.0, "quantization_config": None})


def rope(kind: str, **more: Any) -> dict[str, Any]:
    return {"rope_scaling": {"type": kind, "factor": 4.0, **more}}


@pytest.mark.parametrize(
    ("table", "changes", "words"),
    [
        (LLAMA, {"model_type": "granite"}, "is a 'granite' model; this version reads: qwen3, ll"),
        (LLAMA, {"model_type": None}, "names no model_type; this version reads: qwen3, llama"),
        (LLAMA, {"hidden_act": "relu2"}, "hidden_act 'relu2'"),
        (LLAMA, {"logits_scaling": 8.0}, "logits_scaling 8.0"),
        (LLAMA, {"logit_scale": 0.0625}, "logit_scale 0.0625"),
        (LLAMA, {"attention_multiplier": 0.0078125}, "attention_multiplier"),
        (LLAMA, {"residual_multiplier": 0.22}, "residual_multiplier"),
        (LLAMA, {"embedding_multiplier": 12.0}, "embedding_multiplier"),
        (LLAMA, {"is_causal": False}, "is_causal False"),
        (LLAMA, rope("dynamic"), "rope scaling 'dynamic'.*it does: linear, llama3, yarn"),
        (LLAMA, rope("mrope", mrope_section=[16, 24, 24]), "rope scaling 'mrope'"),
        (LLAMA, rope("yarn", mscale=1.0), "mscale 1.0"),
        (LLAMA, rope("longrope"), "rope scaling 'longrope'"),
        (LLAMA, {"rope_parameters": {"full_attention": {}}}, "which is not one for all"),
        (LLAMA, {"quantization_config": {"quant_method": "gptq", "bits": 4}}, "packed by gptq"),
        (LLAMA, {"quantization_config": {"quant_method": "awq", "bits": 4}}, "packed by awq"),
        (LLAMA, {"quantization_config": {"quant_method": "bitsandbytes"}}, "by bitsandbytes"),
        (LLAMA, {"quantization": {"group_size": 64, "bits": 4}}, "packed by .'group_size': 64"),
        (QWEN3, {"layer_types": ["linear_attention"] * 16}, "layer_types 'linear_attention'"),
        (QWEN3, {"layer_types": ["full_attention"] * 15}, "layer_types that are not 16 words"),
        (GPT2, {"scale_attn_by_inverse_layer_idx": True}, "inverse_layer_idx"),
        (GPT2, {"activation_function": "swish"}, "activation 'swish'"),
        (GPT2, {"add_cross_attention": True}, "add_cross_attention"),
        (MPT, {"attn_config": {"clip_qkv": 6}}, "clips or scales attention"),
        (MPT, {"attn_config": {"qk_ln": True}}, "qk_ln"),
        (MPT, {"attn_config": {"alibi": False}}, "alibi False"),
        (MPT, {"attn_config": {"attn_type": "multiquery_attention"}}, "attn_type 'multiquery"),
        (MPT, {"logit_scale": "inv_sqrt_d_model"}, "logit_scale"),
        (GEMMA3, {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping"),
        (GEMMA3, {"use_bidirectional_attention": True}, "use_bidirectional_attention"),
        (GEMMA3, {"hidden_activation": "silu"}, "hidden_activation"),
        (GEMMA3, {"layer_types": ["chunked_attention"] * 26}, "chunked_attention"),
        (GEMMA3, rope("dynamic"), "dynamic"),
        (GEMMA3, {"query_pre_attn_scalar": 0}, "query_pre_attn_scalar"),
        (GEMMA3, {"query_pre_attn_scalar": "256"}, "query_pre_attn_scalar"),
        (GEMMA3, {"rope_local_base_freq": "10000"}, "rope_local_base_freq"),
        (GEMMA3, {"sliding_window_pattern": 0}, "sliding_window_pattern"),
        (GEMMA3, {"head_dim": None}, "head_dim"),
        (GEMMA3, {"model_type": "gemma3"}, "text_config"),
        (GEMMA3, {"model_type": "gemma3", "text_config": {}}, "hidden_size"),
    ],
)
def test_what_would_be_computed_wrongly_is_refused(
    table: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        read(table | changes)


def test_an_unknown_architecture_is_named_in_other_formats(tmp_path: Path) -> None:
    archive, file = tmp_path / "model.npz", tmp_path / "model.gguf"
    np.savez(archive, config='{"model_type": "rwkv"}', x=np.zeros(1))
    writer = GGUFWriter(file, "rwkv7")
    writer.add_tensor("token_embd.weight", np.zeros((2, 2), np.float32))
    close(writer)
    for path, words in ((archive, "'rwkv'.*llama"), (file, "'rwkv7'.*llama")):
        with pytest.raises(InputError, match=f"{words}.*gemma3.*mpt|{words}.*mpt.*gemma3"):
            load_model(path, CPU)


@pytest.mark.parametrize("key", ["logit_scale", "attention.scale", "rope.scaling.yarn_ext_factor"])
def test_a_gguf_that_scales_what_llama_does_not_is_refused(key: str, tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    writer = GGUFWriter(file, "llama")
    for name in ("embedding_length", "attention.head_count", "context_length"):
        writer.add_uint32(f"llama.{name}", 2)
    writer.add_float32(f"llama.{key}", 8.0)
    writer.add_tensor("token_embd.weight", np.zeros((2, 2), np.float32))
    close(writer)
    with pytest.raises(InputError, match=f"{key} is 8.0; allowed: nothing"):
        load_model(file, CPU)
