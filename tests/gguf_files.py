"""GGUF files as llama.cpp's converter writes them, by its own library."""

import json
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


def write_gguf(
    path: Path,
    directory: Path,
    architecture: str,
    facts: dict[str, Any],
    *,
    tokenizer: Tokenizer | None = None,
    kind: GGMLQuantizationType = F32,
) -> Path:
    """The model of a directory as GGUF; ``facts`` are what differs from one family to the next."""
    config = json.loads((directory / "config.json").read_text())
    writer = GGUFWriter(path, architecture)
    layers = config.get("num_hidden_layers") or config.get("n_layer") or config["n_layers"]
    for key, value in ({"block_count": layers} | facts).items():
        _add(writer, f"{architecture}.{key}", value)
    if tokenizer is not None:
        add_tokenizer(writer, tokenizer)
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
