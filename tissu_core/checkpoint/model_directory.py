"""A model as a Hugging Face directory: written for other programs, read back by the same names."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tissu_core.checkpoint.weights import load_tensors, save_tensors
from tissu_core.config.model import ModelConfig
from tissu_core.errors import ConfigError, InputError
from tissu_core.models.build import build_empty
from tissu_core.models.decoder import Decoder
from tissu_core.models.families import TISSU, Family, UnreadableConfigError, family_for, family_of
from tissu_core.models.int8 import is_int8, share_tied, use_int8_layers
from tissu_core.storage import is_sealed, read_json, verify, write_json
from tissu_core.text.tokenizer import Tokenizer

CONFIG_FILE = "config.json"
GENERATION_FILE = "generation_config.json"
WEIGHTS_FILE = "model.safetensors"
INT8 = {"bits": 8, "scale": "output"}
"""How ``config.json`` tells that matrices are int8 with one scale for each output."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model ready to use, its tokenizer and where they came from."""

    model: Decoder
    tokenizer: Tokenizer
    path: Path
    end_ids: frozenset[int]
    """Tokens that end a reply."""


def write_model_files(directory: Path, model: Decoder, tokenizer: Tokenizer) -> None:
    """Write what transformers, vLLM and SGLang read: config, weights, tokenizer, generation."""
    family = TISSU if is_int8(model) else family_for(model.config)
    ends = {"bos_token_id": tokenizer.start_id, "eos_token_id": tokenizer.end_id}
    table = to_hugging_face(model.config, tokenizer.end_id, family) | ends
    write_json(directory / CONFIG_FILE, table | ({"quantization": INT8} if is_int8(model) else {}))
    write_json(directory / GENERATION_FILE, {**ends, "do_sample": True, "temperature": 0.8})
    weights = model.state_dict()
    if model.config.tie_word_embeddings:
        weights = {n: t for n, t in weights.items() if n not in _tied_names(model)}
    save_tensors(directory / WEIGHTS_FILE, family.to_file(weights))
    tokenizer.save(directory, model.config.max_position_embeddings)


def load_model(directory: Path, device: torch.device) -> LoadedModel:
    """The model of a directory; one that tissu sealed is checked against its hashes first.

    Raises:
        InputError: If files are missing or of a kind tissu does not read.
        IntegrityError: If a sealed file is damaged.
    """
    refuse_pickles(directory)
    if is_sealed(directory):
        verify(directory)
    if not (directory / CONFIG_FILE).is_file():
        raise InputError(f"{directory} has no {CONFIG_FILE}", hint="tissu models list")
    table = read_json(directory / CONFIG_FILE)
    config = from_hugging_face(table, directory)
    model = build_layers(table, config, directory)
    tensors = family_of(table).from_file(load_tensors(directory / WEIGHTS_FILE), config)
    if config.tie_word_embeddings:
        names = _tied_names(model)
        tensors |= {name: tensors[tied] for name, tied in names.items() if tied in tensors}
    _check_tensors(model, tensors, directory)
    model.load_state_dict(
        {n: t.float() if t.is_floating_point() else t for n, t in tensors.items()}, assign=True
    )
    share_tied(model)
    tokenizer = Tokenizer.load(directory)
    end_ids = tokenizer.end_ids | frozenset(_declared_ends(directory))
    return LoadedModel(model.to(device).eval(), tokenizer, directory, end_ids)


def _declared_ends(directory: Path) -> list[int]:
    path = directory / GENERATION_FILE
    ends = read_json(path).get("eos_token_id", []) if path.is_file() else []
    return [end for end in (ends if isinstance(ends, list) else [ends]) if isinstance(end, int)]


def refuse_pickles(path: Path) -> None:
    """Refuse what can run code when it is read.

    Raises:
        InputError: If ``path`` is a pickled model, or a directory with no other weights.
    """
    pickles = {".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle"}
    found = path if path.suffix in pickles and path.is_file() else None
    if path.is_dir() and not any(path.glob("*.safetensors")):
        found = next((file for file in sorted(path.iterdir()) if file.suffix in pickles), None)
    if found is not None:
        raise InputError(
            f"{found} is a pickle, which can run any code when it is read; tissu reads safetensors",
            hint="convert it where you trust it: transformers' save_pretrained writes safetensors",
        )


def build_layers(table: dict[str, Any], config: ModelConfig, directory: Path) -> Decoder:
    """An empty decoder with the layers that a ``config.json`` asks for.

    Raises:
        InputError: If the weights are packed in a way that this version does not read.
    """
    packing = table.get("quantization") or table.get("quantization_config")
    if packing is None:
        return build_empty(config)
    if packing != INT8:
        raise InputError(
            f"{directory / CONFIG_FILE} has weights packed as {packing!r}; this version reads "
            f"{INT8!r}",
            hint="use a copy of the model that is not quantized",
        )
    return use_int8_layers(build_empty(config))


def _tied_names(model: Decoder) -> dict[str, str]:
    """Names of a tied head's tensors, and those of the embedding's."""
    names = [name for name in model.state_dict() if name.startswith("lm_head.")]
    return {name: name.replace("lm_head", "model.embed_tokens") for name in names}


def to_hugging_face(
    config: ModelConfig, end_id: int, family: Family | None = None
) -> dict[str, Any]:
    """``config.json``, by default of the first family that expresses the shape."""
    family = family or family_for(config)
    return {
        "architectures": [family.architecture],
        "model_type": family.model_type,
        **family.to_table(config),
        "bos_token_id": end_id,
        "eos_token_id": end_id,
        "dtype": "float32",
    }


def from_hugging_face(table: dict[str, Any], directory: Path) -> ModelConfig:
    """The architecture of a ``config.json``.

    Raises:
        InputError: If it is another family or uses a feature that would be ignored.
    """
    path = directory / CONFIG_FILE
    try:
        return family_of(table).from_table(table)
    except UnreadableConfigError as error:
        raise InputError(f"{path} {error}", hint="use another model") from error
    except (ConfigError, TypeError) as error:
        raise InputError(f"{path}: {error}", hint="use another model") from error


def _check_tensors(model: Decoder, tensors: dict[str, torch.Tensor], directory: Path) -> None:
    layers = model.state_dict()
    expected = {name: tuple(tensor.shape) for name, tensor in layers.items()}
    path = directory / WEIGHTS_FILE
    for name, shape in expected.items():
        if name not in tensors:
            raise InputError(
                f"{path} lacks the tensor {name}", hint="use another copy of the model"
            )
        if tuple(tensors[name].shape) != shape:
            raise InputError(
                f"{path}: {name} is {tuple(tensors[name].shape)}, the configuration says {shape}",
                hint="use another copy of the model",
            )
        if tensors[name].is_floating_point() != layers[name].is_floating_point():
            raise InputError(
                f"{path}: {name} is {tensors[name].dtype}, the configuration says "
                f"{layers[name].dtype}",
                hint="use another copy of the model",
            )
    extra = sorted(set(tensors) - set(expected))
    if extra:
        raise InputError(f"{path} has a tensor too many: {extra[0]}", hint="use another copy")
