"""A model as a Hugging Face directory: written for other programs, read back by the same names."""

from collections.abc import Collection, Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from tissu_core.checkpoint.directory_model import CONFIG_FILE, GENERATION_FILE, DirectoryModel
from tissu_core.checkpoint.fill import fill, packing_table, refuse_packing, tied_names
from tissu_core.checkpoint.gguf.header import is_gguf
from tissu_core.checkpoint.gguf.model import GgufModel
from tissu_core.checkpoint.npz import NpzModel
from tissu_core.checkpoint.stored_model import StoredModel, TensorFacts
from tissu_core.checkpoint.weights import (
    WEIGHTS_FILE,
    save_tensors,
)
from tissu_core.config.model import ModelConfig
from tissu_core.errors import ConfigError, InputError, ResourceError
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.layers.packed import is_packed
from tissu_core.models.build import build_empty
from tissu_core.models.decoder import Decoder
from tissu_core.models.families import TISSU, Family, UnreadableConfigError, family_for, family_of
from tissu_core.models.packed import packing_of, unpacked
from tissu_core.runtime.memory import free_bytes
from tissu_core.storage import is_sealed, iter_verify, read_manifest, write_json
from tissu_core.text.tokenizer import Tokenizer


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
    weights: Mapping[str, torch.Tensor] | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write what transformers, vLLM and SGLang read: config, weights, tokenizer, generation.

    Without ``family`` it is the first that expresses the shape; ``end_ids`` end a reply beside
    those that the tokenizer tells. ``weights`` are by name, where the model holds a part of them;
    those that do not belong to packed matrices are written as ``dtype``.
    """
    packing = packing_table(model)
    family = TISSU if packing else family or family_for(model.config)
    all_ends = sorted({*tokenizer.end_ids, *end_ids})
    ends = {
        "bos_token_id": tokenizer.start_id,
        "eos_token_id": all_ends if len(all_ends) > 1 else tokenizer.end_id,
    }
    table = to_hugging_face(model.config, tokenizer.end_id, family)
    table |= {"bos_token_id": tokenizer.start_id, "dtype": str(dtype).removeprefix("torch.")}
    write_json(directory / CONFIG_FILE, table | ({"quantization": packing} if packing else {}))
    write_json(directory / GENERATION_FILE, {**ends, "do_sample": True, "temperature": 0.8})
    tied = tied_names(model)
    whole = model.state_dict() if weights is None else weights
    written = {name: tensor for name, tensor in whole.items() if name not in tied}
    stored = {
        name: tensor if is_packed(name, tensor) else tensor.to(dtype)
        for name, tensor in family.to_file(written).items()
    }
    save_tensors(directory / WEIGHTS_FILE, stored)
    tokenizer.save(directory, model.config.max_position_embeddings)


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
    loading = iter_load_model(path, device)
    while True:
        try:
            next(loading)
        except StopIteration as end:
            loaded: LoadedModel = end.value
            return loaded


def iter_load_model(
    path: Path, device: torch.device
) -> Generator[StageAdvanced, None, LoadedModel]:
    """``load_model``, and how far it is."""
    stored = open_model(path)
    if is_sealed(path):
        for done, total in iter_verify(path, read_manifest(path)["files"]):
            yield StageAdvanced(stage="checking", done=done, total=total, unit="bytes")
    config = from_hugging_face(stored.table, path)
    refuse_packing(stored.table, file_of(path, CONFIG_FILE))
    model = build_empty(config)
    _require_room(stored.tensors.values(), path, device)
    tensors = yield from _iter_load(stored)
    family = family_of(stored.table)
    fill(model, family.from_file(tensors, config), path)
    tokenizer = stored.load_tokenizer()
    _check_vocabulary(tokenizer, config.vocab_size, path)
    end_ids = tokenizer.end_ids | {*stored.end_ids()}
    model = model.to(device).eval()
    notices, written = stored.notices(), family.written or family
    return LoadedModel(model, tokenizer, path, end_ids, notices, written)


def in_full(loaded: LoadedModel) -> LoadedModel:
    """The model with matrices of fp32, where a GGUF has packed ones.

    Raises:
        InputError: If tissu rounded them, whose original is somewhere.
    """
    packing = packing_of(loaded.model)
    if not packing:
        return loaded
    if not is_gguf(loaded.path):
        raise InputError(
            f"{loaded.path} is {packing} already, and what was rounded is gone",
            hint="name the model it was made from",
        )
    return replace(loaded, model=unpacked(loaded.model))


def _iter_load(
    stored: StoredModel,
) -> Generator[StageAdvanced, None, dict[str, torch.Tensor]]:
    loading, done = stored.iter_load(), 0
    total = sum(facts.num_bytes for facts in stored.tensors.values())
    while True:
        yield StageAdvanced(stage="loading weights", done=done, total=total, unit="bytes")
        try:
            done += next(loading)
        except StopIteration as end:
            tensors: dict[str, torch.Tensor] = end.value
            return tensors


def _require_room(tensors: Iterable[TensorFacts], path: Path, device: torch.device) -> None:
    needed = sum(stored.num_loaded_bytes for stored in tensors)
    free = min(free_bytes(torch.device("cpu")), free_bytes(device))
    if needed > free:
        raise ResourceError(
            f"{path} needs {needed / 1e9:.3g} GB of memory, {free / 1e9:.3g} GB free",
            hint="use a smaller model, or one of packed weights that tissu quantize made",
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
    """Refuse ids without an embedding, but for control tokens that nothing here puts in.

    Gemma 3's smallest has one such, for pictures.
    """
    template = str(tokenizer.config.get("chat_template"))  # a broken one is no matter here
    spelled = (id for name, id in tokenizer.control_tokens.items() if name in template)
    used = {tokenizer.start_id, *tokenizer.end_ids, *spelled}
    has_more = tokenizer.vocab_size > num_rows and any(tokenizer.pieces[num_rows:])
    if has_more or max(used) >= num_rows:
        raise InputError(
            f"{path} has embeddings of {num_rows:,} tokens, and its tokenizer has "
            f"{tokenizer.vocab_size:,}",
            hint="put the tokenizer that the model was trained with beside it",
        )
