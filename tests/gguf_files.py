"""GGUF files as llama.cpp's converter writes them, by its own library."""

import json
import math
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter
from safetensors.numpy import load_file

from tissu_core.text.tokenizer import Tokenizer

F32, Q8_0 = GGMLQuantizationType.F32, GGMLQuantizationType.Q8_0
_ROTATES = ("llama", "smollm3")
_PART = (".attn.bias", ".attn.masked_bias")
_FACTS = {
    "embedding_length": ("hidden_size", "n_embd", "d_model"),
    "feed_forward_length": ("intermediate_size",),
    "context_length": ("max_position_embeddings", "n_positions", "max_seq_len"),
    "attention.head_count": ("num_attention_heads", "n_head", "n_heads"),
    "attention.head_count_kv": ("num_key_value_heads",),
    "attention.layer_norm_rms_epsilon": ("rms_norm_eps",),
    "attention.layer_norm_epsilon": ("layer_norm_epsilon",),
    "attention.sliding_window": ("sliding_window",),
    "attn_logit_softcapping": ("attn_logit_softcapping",),
    "final_logit_softcapping": ("final_logit_softcapping",),
    "expert_count": ("num_local_experts",),
    "expert_used_count": ("num_experts_per_tok",),
}
"""What the header says, and the names of it in ``config.json``."""


def facts_of(directory: Path) -> dict[str, Any]:
    """What llama.cpp's converter makes of a ``config.json``, without the architecture's name."""
    config = json.loads((directory / "config.json").read_text())
    found = {
        key: config[name]
        for key, names in _FACTS.items()
        for name in names
        if config.get(name) is not None
    }
    width, heads = found["embedding_length"], found["attention.head_count"]
    if "rope_parameters" not in config:  # GPT-2 and MPT, whose blocks are four times as wide
        alibi = {"attention.max_alibi_bias": 8.0} if config["model_type"] == "mpt" else {}
        return {"feed_forward_length": 4 * width} | found | alibi
    kinds, rope = config["rope_parameters"], config["rope_parameters"]
    if "full_attention" in kinds:
        rope = kinds["full_attention"]
        found["rope.freq_base_swa"] = kinds["sliding_attention"]["rope_theta"]
    head_dim = config.get("head_dim") or width // heads
    found["rope.dimension_count"] = int(head_dim * rope.get("partial_rotary_factor", 1))
    found["rope.freq_base"] = rope["rope_theta"]
    found["attention.key_length"] = found["attention.value_length"] = head_dim
    if rope["rope_type"] in ("linear", "yarn"):
        found["rope.scaling.type"] = rope["rope_type"]
        found["rope.scaling.factor"] = rope["factor"]
    original = rope.get("original_max_position_embeddings")
    if original and rope["rope_type"] in ("yarn", "longrope"):
        found["rope.scaling.original_context_length"] = original
    return found


def rope_tensors(directory: Path) -> dict[str, list[float]]:
    """The factors by which rotations are stretched, where llama.cpp keeps them as tensors."""
    config = json.loads((directory / "config.json").read_text())
    rope = config.get("rope_parameters") or {}
    match rope.get("rope_type"):
        case "longrope":
            kinds = ("long", "short")
            return {f"rope_factors_{kind}.weight": rope[f"{kind}_factor"] for kind in kinds}
        case "llama3":
            size, factor = config["head_dim"], rope["factor"]
            low, high = rope["low_freq_factor"], rope["high_freq_factor"]
            factors = []
            for channel in range(0, size, 2):
                radians = rope["original_max_position_embeddings"] / rope["rope_theta"] ** (
                    channel / size
                )
                share = (radians / (2 * math.pi) - low) / (high - low)
                share = min(1.0, max(0.0, share))
                factors.append(1 / ((1 - share) / factor + share))
            return {"rope_freqs.weight": factors}
    return {}


def write_gguf(
    path: Path,
    directory: Path,
    architecture: str,
    facts: dict[str, Any] | None = None,
    *,
    tokenizer: Tokenizer | None = None,
    kind: GGMLQuantizationType = F32,
) -> Path:
    """The model of a directory as GGUF; ``facts`` are by default what its configuration says."""
    config = json.loads((directory / "config.json").read_text())
    writer = GGUFWriter(path, architecture)
    layers = config.get("num_hidden_layers") or config.get("n_layer") or config["n_layers"]
    told = facts_of(directory) if facts is None else facts
    for key, value in ({"block_count": layers} | told).items():
        _add(writer, f"{architecture}.{key}", value)
    if tokenizer is not None:
        add_tokenizer(writer, tokenizer)
    for name, factors in rope_tensors(directory).items():
        writer.add_tensor(name, np.array(factors, dtype=np.float32))
    known = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(known[architecture], layers)
    for name, tensor in _tensors(directory, architecture, config).items():
        theirs = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert theirs is not None, name
        is_packed = tensor.ndim > 1 and tensor.shape[-1] % 32 == 0 and "position" not in theirs
        used = kind if is_packed else F32
        writer.add_tensor(theirs, gguf.quantize(tensor, used), raw_dtype=used)
    close(writer)
    return path


def close(writer: GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_tokenizer(writer: GGUFWriter, tokenizer: Tokenizer) -> None:
    model = json.loads(tokenizer.backend.to_str())["model"]
    tokens = [tokenizer.spelling(id) for id in range(tokenizer.vocab_size)]
    kinds = [3 if token in tokenizer.control_tokens else 1 for token in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in model["merges"]])
    writer.add_eos_token_id(tokenizer.end_id)
    writer.add_eot_token_id(3)


def _add(writer: GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_uint32(key, value)


def _tensors(directory: Path, architecture: str, config: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, tensor in load_file(directory / "model.safetensors").items():
        if architecture in _ROTATES and (".q_proj." in name or ".k_proj." in name):
            word = "num_attention_heads" if ".q_proj." in name else "num_key_value_heads"
            tensor = _as_neighbours(tensor, config[word])
        if architecture == "gpt2" and ".h." in name and tensor.ndim == 2:
            tensor = tensor.T
        if architecture.startswith("gemma") and name.endswith("norm.weight"):
            tensor = tensor + 1
        if not name.endswith(_PART):
            found[name] = np.ascontiguousarray(tensor, dtype=np.float32)
    return _stacked(found, config) if "num_local_experts" in config else found


def _stacked(tensors: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    for layer in range(config["num_hidden_layers"]):
        for part in ("w1", "w2", "w3"):
            place = f"model.layers.{layer}.block_sparse_moe.experts"
            experts = range(config["num_local_experts"])
            each = [tensors.pop(f"{place}.{expert}.{part}.weight") for expert in experts]
            tensors[f"layers.{layer}.feed_forward.experts.{part}.weight"] = np.stack(each)
    return tensors


def _as_neighbours(tensor: Any, heads: int) -> Any:
    """Rows that rotate together side by side: llama.cpp's ``permute``."""
    rows = tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, *tensor.shape[1:])
    return rows.swapaxes(1, 2).reshape(tensor.shape)
