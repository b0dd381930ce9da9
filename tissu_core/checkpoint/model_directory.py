"""A model as a Hugging Face directory: written for other programs, read back by the same names."""

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from tissu_core.checkpoint.gguf.header import is_gguf
from tissu_core.checkpoint.gguf.model import GgufModel
from tissu_core.checkpoint.npz import NpzModel
from tissu_core.checkpoint.stored_model import StoredModel, TensorFacts
from tissu_core.checkpoint.tokenizer import load_tokenizer
from tissu_core.checkpoint.weights import (
    WEIGHTS_FILE,
    StoredTensor,
    list_tensors,
    load_tensors,
    read_tensor,
    save_tensors,
    weight_files,
)
from tissu_core.config.model import ModelConfig
from tissu_core.errors import ConfigError, InputError, ResourceError
from tissu_core.events import Noticed
from tissu_core.models.build import build_empty
from tissu_core.models.decoder import Decoder
from tissu_core.models.families import TISSU, Family, UnreadableConfigError, family_for, family_of
from tissu_core.models.int8 import is_int8, share_tied, use_int8_layers
from tissu_core.runtime.memory import free_bytes
from tissu_core.storage import is_sealed, read_json, verify, write_json
from tissu_core.text.tokenizer import Tokenizer

CONFIG_FILE = "config.json"
GENERATION_FILE = "generation_config.json"
WHOLE = ("I8", "I16", "I32", "I64", "U8", "BOOL")
"""Formats that stay as they are in memory; all else becomes fp32."""
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
    notices: tuple[Noticed, ...] = ()
    """What a person should know of what was read."""
    family: Family | None = None
    """Whose layout it is written in, if its files say."""


def write_model_files(
    directory: Path,
    model: Decoder,
    tokenizer: Tokenizer,
    *,
    family: Family | None = None,
    end_ids: Collection[int] = (),
) -> None:
    """Write what transformers, vLLM and SGLang read: config, weights, tokenizer, generation.

    Without ``family`` it is the first that expresses the shape; ``end_ids`` end a reply beside
    those that the tokenizer tells.
    """
    family = TISSU if is_int8(model) else family or family_for(model.config)
    all_ends = sorted({*tokenizer.end_ids, *end_ids})
    ends = {
        "bos_token_id": tokenizer.start_id,
        "eos_token_id": all_ends if len(all_ends) > 1 else tokenizer.end_id,
    }
    table = to_hugging_face(model.config, tokenizer.end_id, family)
    table["bos_token_id"] = tokenizer.start_id
    write_json(directory / CONFIG_FILE, table | ({"quantization": INT8} if is_int8(model) else {}))
    write_json(directory / GENERATION_FILE, {**ends, "do_sample": True, "temperature": 0.8})
    tied = _tied_names(model)
    weights = {name: t for name, t in model.state_dict().items() if name not in tied}
    save_tensors(directory / WEIGHTS_FILE, family.to_file(weights))
    tokenizer.save(directory, model.config.max_position_embeddings)


@dataclass(frozen=True)
class DirectoryModel:
    """The model of a Hugging Face directory."""

    path: Path

    @cached_property
    def table(self) -> dict[str, Any]:
        """Its ``config.json``."""
        if not (self.path / CONFIG_FILE).is_file():
            raise InputError(f"{self.path} has no {CONFIG_FILE}", hint="tissu models list")
        return read_json(self.path / CONFIG_FILE)

    @cached_property
    def tensors(self) -> dict[str, StoredTensor]:
        """The tensors of its safetensors, from their headers."""
        return list_tensors(self.path)

    def read(self, name: str) -> torch.Tensor:
        """One tensor."""
        return read_tensor(self.tensors[name].file, name)

    def load(self) -> dict[str, torch.Tensor]:
        """All tensors, of one file or of several."""
        files = weight_files(self.path)
        return {name: t for file in files for name, t in load_tensors(file).items()}

    def end_ids(self) -> list[int]:
        """Those that ``config.json`` and ``generation_config.json`` name."""
        return [*self._declared_ends()]

    def _declared_ends(self) -> Iterator[int]:
        for name in (CONFIG_FILE, GENERATION_FILE):
            path = self.path / name
            ends = read_json(path).get("eos_token_id") if path.is_file() else None
            listed = ends if isinstance(ends, list) else [ends]
            yield from (end for end in listed if type(end) is int)


def open_model(path: Path) -> StoredModel:
    """The model in a directory, a ``.gguf`` or a ``.npz``; weights are not read yet.

    Raises:
        InputError: If it can only be a pickle, or a file is damaged.
    """
    refuse_pickles(path)
    if is_gguf(path):
        return GgufModel.open(path)
    if path.suffix == ".npz" and path.is_file():
        return NpzModel(path, DirectoryModel(path.parent))
    return DirectoryModel(path)


def load_model(path: Path, device: torch.device) -> LoadedModel:
    """The model at ``path``; a directory that tissu sealed is checked against its hashes first.

    Raises:
        InputError: If files are missing or of a kind tissu does not read.
        IntegrityError: If a sealed file is damaged.
        ResourceError: If it does not fit memory.
    """
    stored = open_model(path)
    if is_sealed(path):
        verify(path)
    config = from_hugging_face(stored.table, path)
    model = build_layers(stored.table, config, path)
    _require_room(stored.tensors.values(), path, device)
    tensors = stored.load()
    family = family_of(stored.table)
    _fill(model, family.from_file(tensors, config), path)
    tokenizer = load_tokenizer(path)
    _check_vocabulary(tokenizer, config.vocab_size, path)
    end_ids = tokenizer.end_ids | {*stored.end_ids()}
    model = model.to(device).eval()
    notices, written = family.notices(tensors), family.written or family
    return LoadedModel(model, tokenizer, path, end_ids, notices, written)


def _require_room(tensors: Iterable[TensorFacts], path: Path, device: torch.device) -> None:
    needed = sum(
        stored.num_bytes if stored.dtype in WHOLE else 4 * math.prod(stored.shape)  # fp32
        for stored in tensors
    )
    free = min(free_bytes(torch.device("cpu")), free_bytes(device))
    if needed > free:
        raise ResourceError(
            f"{path} needs {needed / 1e9:.3g} GB of memory, {free / 1e9:.3g} GB free",
            hint="use a smaller model, or one of int8 weights that tissu quantize made",
        )


def file_of(path: Path, name: str) -> Path:
    """The file ``name`` of a model's directory; of a model in one file, that."""
    return path if path.is_file() else path / name


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
        named = packing.get("quant_method", packing) if isinstance(packing, dict) else packing
        raise InputError(
            f"{file_of(directory, CONFIG_FILE)} has weights packed by {str(named)[:80]}; this "
            "version reads its own int8 and the kinds of GGUF",
            hint="use the model it was made from, or a GGUF of it",
        )
    return use_int8_layers(build_empty(config))


def _tied_names(model: Decoder) -> set[str]:
    """Names of the head's tensors where they are the embedding's."""
    is_tied = model.config.tie_word_embeddings
    return {name for name in model.state_dict() if is_tied and name.startswith("lm_head.")}


def _fill(model: Decoder, tensors: dict[str, torch.Tensor], directory: Path) -> None:
    """Give an empty model its weights, in fp32 but for whole numbers."""
    tied = _tied_names(model)
    tensors = {name: tensor for name, tensor in tensors.items() if name not in tied}
    layers = {name: layer for name, layer in model.state_dict().items() if name not in tied}
    _check_tensors(layers, tensors, directory)
    widened = {
        # Fused Adam on a CPU walks over a parameter's memory as if it were contiguous.
        name: (tensor.float() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in tensors.items()
    }
    model.load_state_dict(widened, strict=not tied, assign=True)
    share_tied(model)


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
    path = file_of(directory, CONFIG_FILE)
    try:
        return family_of(table).from_table(table)
    except UnreadableConfigError as error:
        raise InputError(f"{path} {error}", hint="use another model") from error
    except (ConfigError, TypeError, ArithmeticError) as error:
        raise InputError(f"{path}: {error}", hint="use another model") from error


def _check_vocabulary(tokenizer: Tokenizer, num_rows: int, path: Path) -> None:
    """Refuse ids without an embedding, but for control tokens that no text begins or ends with.

    Gemma 3's smallest has one such, for pictures.
    """
    if tokenizer.vocab_size > num_rows and (
        any(tokenizer.pieces[num_rows:]) or max(tokenizer.end_ids) >= num_rows
    ):
        raise InputError(
            f"{path} has embeddings of {num_rows:,} tokens, and its tokenizer has "
            f"{tokenizer.vocab_size:,}",
            hint="put the tokenizer that the model was trained with beside it",
        )


def _check_tensors(
    layers: dict[str, torch.Tensor], tensors: dict[str, torch.Tensor], directory: Path
) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in layers.items()}
    for name, shape in expected.items():
        if name not in tensors:
            raise InputError(
                f"{directory} lacks the tensor {name}", hint="use another copy of the model"
            )
        if tuple(tensors[name].shape) != shape:
            raise InputError(
                f"{directory}: {name} is {tuple(tensors[name].shape)}, "
                f"the configuration says {shape}",
                hint="use another copy of the model",
            )
        if tensors[name].is_floating_point() != layers[name].is_floating_point():
            raise InputError(
                f"{directory}: {name} is {tensors[name].dtype}, the configuration says "
                f"{layers[name].dtype}",
                hint="use another copy of the model",
            )
    extra = sorted(set(tensors) - set(expected))
    if extra:
        raise InputError(f"{directory} has a tensor too many: {extra[0]}", hint="use another copy")
