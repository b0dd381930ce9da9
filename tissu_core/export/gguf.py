"""A model as a GGUF file that llama.cpp opens, with its tokenizer and its chat template."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tissu_core.checkpoint.gguf.architectures import ARCHITECTURES, NAMES, Architecture
from tissu_core.checkpoint.gguf.facts import Facts
from tissu_core.checkpoint.gguf.header import GgufFile, GgufTensor
from tissu_core.checkpoint.gguf.metadata import FILE_TYPES, rope_vectors, shape_metadata
from tissu_core.checkpoint.gguf.packing import pack
from tissu_core.checkpoint.gguf.writer import Entry, GgufWriter, gguf_bytes, kind_of
from tissu_core.config.model import ModelConfig
from tissu_core.errors import ConfigError, InputError
from tissu_core.export.numbers import require_numbers
from tissu_core.models.decoder import Decoder
from tissu_core.models.families import Family, UnreadableConfigError, family_for, family_of
from tissu_core.text.exported.gguf import tokenizer_metadata
from tissu_core.text.tokenizer import Tokenizer

_ENDS = ("token_embd", "output")
_PLAIN = ("position_embd", "ffn_gate_inp")
"""Matrices that llama.cpp wants in fp32."""
Sources = dict[str, tuple[tuple[int | None, str], ...]]
"""The family's tensors that make each of the file's, with the number of the expert they are of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufExport:
    """What a file will hold; nothing is written yet."""

    metadata: dict[str, Any]
    entries: tuple[Entry, ...]
    num_bytes: int
    _architecture: Architecture
    _config: ModelConfig
    _sources: Sources
    _tensors: dict[str, Tensor]

    @property
    def unread_window(self) -> int | None:
        """Tokens that each token of the model sees, where llama.cpp shows it all of them."""
        window = self._config.sliding_window
        is_ignored = self.metadata["general.architecture"] == "llama"
        is_shorter = window is not None and window < self._config.max_position_embeddings
        return window if is_ignored and is_shorter else None

    def write(self, path: Path) -> Iterator[int]:
        """Write the file; yields the bytes of each tensor.

        Raises:
            InputError: If a weight is no number, or none that the type can hold.
            OSError: If the disk is full, read-only or failing.
        """
        writing = GgufWriter(path, self.metadata, self.entries)
        with writing:
            for entry in self.entries:
                writing.add(entry, self._packed(entry))
                yield entry.num_bytes

    def _packed(self, entry: Entry) -> NDArray[np.uint8]:
        names = [theirs for _, theirs in self._sources[entry.name]]
        values = torch.cat([*map(self._laid_out, names)]).reshape(-1, entry.shape[-1])
        require_numbers(names[0], values, is_half=entry.kind.name != "F32")
        return pack(entry.kind, values.numpy())

    def _laid_out(self, name: str) -> Tensor:
        """One of the family's tensors as GGUF has it."""
        tensor, architecture = self._tensors[name].float(), self._architecture
        if architecture.turns(name, tensor.ndim):
            tensor = tensor.T.contiguous()
        if architecture.norm_offset and name.endswith("norm.weight"):
            tensor = tensor + architecture.norm_offset
        heads = {
            "q_proj": self._config.num_attention_heads,
            "k_proj": self._config.num_key_value_heads,
        }
        count = heads.get(name.split(".")[-2]) if architecture.is_interleaved else None
        if count is None:
            return tensor
        halves = tensor.reshape(count, 2, -1, *tensor.shape[1:])
        return halves.swapaxes(1, 2).reshape(tensor.shape)


def plan_export(
    model: Decoder,
    tokenizer: Tokenizer,
    *,
    kind: str,
    name: str,
    family: Family | None = None,
    end_ids: Collection[int] = (),
) -> GgufExport:
    """What a file of the type ``kind``, one of ``FILE_TYPES``, will hold.

    Raises:
        ConfigError: If llama.cpp does not compute the architecture, or does not know how the
            tokenizer cuts a text.
    """
    config = model.config
    family = family or family_for(config)
    architecture = ARCHITECTURES.get(NAMES.get(family.model_type, ""))
    if architecture is None:
        raise ConfigError(
            f"llama.cpp computes no {family.model_type!r} models",
            field="type",
            hint="tissu export hf MODEL, which transformers, vLLM and SGLang read",
        )
    is_tied = config.tie_word_embeddings
    weights = {n: t for n, t in model.state_dict().items() if not (is_tied and "lm_head" in n)}
    tensors = family.to_file(weights)
    called = NAMES[family.model_type]
    metadata = {
        "general.architecture": called,
        "general.name": name,
        "general.file_type": FILE_TYPES[kind],
        "general.quantization_version": 2,
        **shape_metadata(config, called),
        **tokenizer_metadata(tokenizer, config.vocab_size, end_ids),
    }
    vectors = {n: torch.tensor(values) for n, values in rope_vectors(config).items()}
    sources = _sources(architecture, tensors) | {name: ((None, name),) for name in vectors}
    tensors |= vectors
    entries = tuple(_entries(sources, tensors, architecture, kind))
    _require_all_said(metadata, entries, vectors, config, architecture)
    return GgufExport(
        metadata=metadata,
        entries=entries,
        num_bytes=gguf_bytes(metadata, entries),
        _architecture=architecture,
        _config=config,
        _sources=sources,
        _tensors=tensors,
    )


def _sources(architecture: Architecture, names: Iterable[str]) -> Sources:
    """The family's tensors by GGUF's names; those of a stack in the order of its experts."""
    found: dict[str, list[tuple[int | None, str]]] = {}
    for theirs in names:
        place = architecture.place(theirs)
        assert place is not None, theirs
        found.setdefault(place[0], []).append((place[1], theirs))
    return {name: tuple(sorted(parts)) for name, parts in found.items()}


def _entries(
    sources: Sources, tensors: dict[str, Tensor], architecture: Architecture, kind: str
) -> Iterator[Entry]:
    for name, parts in sources.items():
        expert, theirs = parts[0]
        shape = tuple(tensors[theirs].shape)
        if architecture.turns(theirs, len(shape)):
            shape = shape[::-1]
        shape = shape if expert is None else (len(parts), *shape)
        yield Entry(name, kind_of(_kind_of_tensor(name, shape, kind.upper())), shape)


def _kind_of_tensor(name: str, shape: tuple[int, ...], kind: str) -> str:
    """The type of one tensor in a file of another; rows have to be divided by blocks.

    Embeddings and head, by which most of the quality is lost, stay at 8 bits.
    """
    part = name.split(".")[-2] if "." in name else name
    if len(shape) == 1 or part in _PLAIN or kind == "F32":
        return "F32"
    wished = ["Q8_0"] if kind.startswith("Q") and part in _ENDS else [kind, "Q5_0"]
    fitting = (name for name in wished if shape[-1] % kind_of(name).num_values == 0)
    return "F16" if kind == "F16" else next(fitting, "F16")


def _require_all_said(
    metadata: dict[str, Any],
    entries: tuple[Entry, ...],
    vectors: dict[str, Tensor],
    config: ModelConfig,
    architecture: Architecture,
) -> None:
    """Read the header back: what does not come back as it was, llama.cpp would not compute.

    Raises:
        ConfigError: Naming the first field that GGUF cannot say.
    """
    data, listed = b"", {}
    for entry in entries:
        listed[entry.name] = GgufTensor(entry.kind, entry.shape, len(data))
        if entry.name in vectors:
            data += vectors[entry.name].numpy().tobytes()
    file = GgufFile(
        path=Path("model.gguf"),
        metadata=metadata,
        tensors=listed,
        data=np.frombuffer(data, np.uint8),
    )
    called = metadata["general.architecture"]
    try:
        table = architecture.to_table(Facts(file))
        back = family_of(table).from_table(table)
    except (InputError, UnreadableConfigError, ConfigError) as error:
        raise _unsaid(called, str(error)) from error
    rounded = _rounded(config)
    for spec in fields(ModelConfig):
        mine, theirs = getattr(rounded, spec.name), getattr(_rounded(back), spec.name)
        if mine != theirs:
            raise _unsaid(called, f"{spec.name} {mine!r}, but {theirs!r}")


def _rounded(config: ModelConfig) -> ModelConfig:
    """With the numbers that matter, as fp32 has them."""
    scaling = config.rope_scaling
    if scaling is not None:
        scaling = replace(
            scaling,
            short_factor=tuple(float(np.float32(each)) for each in scaling.short_factor),
            long_factor=tuple(float(np.float32(each)) for each in scaling.long_factor),
        )
    return replace(config, rope_scaling=scaling)


def _unsaid(architecture: str, what: str) -> ConfigError:
    return ConfigError(
        f"a GGUF of the architecture {architecture!r} cannot say all of this model: {what}",
        field="type",
        hint="tissu export hf MODEL, which transformers, vLLM and SGLang read",
    )
